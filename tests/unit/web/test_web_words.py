"""Every word on the pages has a Chinese one, and none is left over."""

from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from twin.state import Category
from web.pages.languages import LOCALE, translations
from web.pages.words import STATES, script_words

WEB = Path(LOCALE).parent
_METHODS = [("pages/**.py", "python"), ("templates/**.html", "jinja2")]


def asked() -> set[str]:
    found = extract_from_dir(WEB, _METHODS, options_map={"templates/**.html": {"trim_blocks": "true"}})
    return {message if isinstance(message, str) else message[0] for _, _, message, *_ in found}


def given() -> Catalog:
    with (LOCALE / "zh" / "LC_MESSAGES" / "web.po").open("rb") as file:
        return read_po(file, locale="zh")


def test_every_word_is_translated_and_none_is_left_over() -> None:
    words = {m.id if isinstance(m.id, str) else m.id[0] for m in given() if m.id}
    assert asked() - words == set()
    assert words - asked() == set()


def test_no_translation_is_empty_and_blanks_agree() -> None:
    for message in (message for message in given() if message.id):
        english, chinese = _last(message.id), _last(message.string)
        assert chinese
        assert sorted(_blanks(english)) == sorted(_blanks(chinese)), english


def test_scripts_have_a_word_for_every_state() -> None:
    words: Any = script_words(translations("zh").gettext)["states"]
    assert set(words) == {category.value for category in Category}
    assert words["use"] == "使用中"
    assert set(STATES) == set(Category)


def _last(text: Any) -> str:
    """The text itself, or its plural."""
    return str(text if isinstance(text, str) else text[-1])


def _blanks(text: str) -> list[str]:
    return [part.split("}")[0] for part in text.split("{")[1:]] + [p.split(")")[0] for p in text.split("%(")[1:]]
