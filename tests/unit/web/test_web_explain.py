"""Every refusal in words, in both languages, with what would make it allowed."""

import re
from decimal import Decimal

import pytest

from tests.unit.core.test_access_views import REMEDIES
from tests.unit.web.campus import START_MS
from twin.access_views import remedy_view_of
from twin.alerts import AlertKind, Severity
from twin.directory import BEIJING
from twin.interface import CheckView
from twin.parties import DowntimeCause, Level
from twin.permission import (
    AccessCode,
    BackInService,
    FundsAdded,
    LinkOnline,
    Opened,
    ProjectThatPays,
    QualificationHeld,
    Remedy,
    SlotHeld,
    SuspensionOver,
    Unpayable,
)
from twin.rules.billing import LineCause
from twin.sessions import CloseReason, VoidReason
from twin.state import LinkState
from twin.tariffs import Kind
from web.pages import terms
from web.pages.explain import Explained, explained
from web.pages.languages import Language, translations
from web.pages.voice import Voice, local_moment

HOUR_MS = 3_600_000


def told(code: AccessCode, remedy: Remedy, language: Language = "en") -> Explained:
    voice = Voice(translations(language).gettext, BEIJING, START_MS)
    return explained(CheckView(1, code.value, "failed", remedy_view_of(remedy)), voice)


@pytest.mark.parametrize("code", AccessCode)
def test_every_code_has_a_sentence_in_both_languages(code: AccessCode) -> None:
    english, chinese = (told(code, Opened(None), language).reason for language in ("en", "zh"))
    assert english.endswith(".")
    assert re.search(r"[\u4e00-\u9fff]", chinese)


@pytest.mark.parametrize(("remedy", "_shown"), REMEDIES)
def test_every_remedy_has_its_sentences_in_both_languages(remedy: Remedy, _shown: object) -> None:
    english, chinese = (told(AccessCode.IN_USE, remedy, language).remedies for language in ("en", "zh"))
    assert english
    assert len(english) == len(chinese)
    assert all(re.search(r"[\u4e00-\u9fff]", sentence) for sentence in chinese)
    assert not any(re.search(r"[{}]|None", sentence) for sentence in (*english, *chinese))


@pytest.mark.parametrize(
    ("remedy", "sentences"),
    [
        (Opened(START_MS + HOUR_MS), ("Opens at 17:53.",)),
        (Opened(START_MS + 24 * HOUR_MS), ("Opens at 10-10 16:53.",)),
        (Opened(None), ("There are no opening hours in the near future.",)),
        (
            QualificationHeld("SEM-000", Level.INDEPENDENT, None, None),
            ("Needs the level “independent” for SEM-000.",),
        ),
        (
            FundsAdded("P1", Decimal(120), Decimal(20)),
            ("Project P1.", "100.00 CNY are missing: 120.00 needed, 20.00 available."),
        ),
        (BackInService(DowntimeCause.RETIRED, None), ("It has been retired.",)),
        (
            ProjectThatPays((("P1", Unpayable.EXPIRED),), ("P2", "P3"), None),
            ("P1: it has expired.", "Could pay instead: P2, P3."),
        ),
        (ProjectThatPays((), (), None), ("Ask the head of a project to let you charge it.",)),
        (
            SlotHeld(None, START_MS - HOUR_MS, START_MS, START_MS + HOUR_MS, walk_in=True),
            ("Your last booking today ended at 15:53.", "Free from 16:53 to 17:53.", "No booking is needed then."),
        ),
        (SlotHeld(START_MS, None, START_MS, None, walk_in=False), None),
        (SuspensionOver(0, banned=True, until_ms=None), ("Banned until further notice: ask the manager.",)),
        (LinkOnline(LinkState.OFFLINE), None),
    ],
)
def test_remedies_say_their_data(remedy: Remedy, sentences: tuple[str, ...] | None) -> None:
    found = told(AccessCode.IN_USE, remedy).remedies
    assert found == sentences if sentences else len(found) > 1


def test_a_check_that_has_passed_needs_no_explanation() -> None:
    with pytest.raises(ValueError, match="has passed"):
        explained(CheckView(3, None, "passed", None), Voice(str, BEIJING, START_MS))


def test_moments_are_as_short_as_they_can_be() -> None:
    assert local_moment("2025-10-09T08:00:00+00:00", BEIJING, START_MS) == "16:00"
    assert local_moment("2025-10-09T17:00:00+00:00", BEIJING, START_MS) == "10-10 01:00"
    assert local_moment("2024-10-09T08:00:00+00:00", BEIJING, START_MS) == "2024-10-09 16:00"


def test_every_term_has_a_name() -> None:
    assert set(terms.ALERTS) == set(AlertKind)
    assert set(terms.SEVERITIES) == set(Severity)
    assert set(terms.ENDINGS) == {*CloseReason, *VoidReason}
    assert set(terms.KINDS) == set(Kind)
    assert set(terms.LINES) == set(LineCause)
    assert set(terms.LINKS) == set(LinkState)
