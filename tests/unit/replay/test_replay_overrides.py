"""Files of other policies and prices: what they change, for whom, and which cannot be."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from twin.directory import InstrumentFact, SiteFact, UserFact
from twin.parties import User, UserCategory
from twin.policy import Policy
from twin.replay.overrides import OverrideError, Overrides, changed_tariff, read_overrides
from twin.tariffs import Band, PriceList, Rates, Tariff

NIGHT = Band(percent=50, from_minute=22 * 60, until_minute=8 * 60)
SUNDAY = Band(percent=80, weekdays=(7,))
TARIFF = Tariff(
    instrument="SEM",
    from_ms=7,
    rates=Rates(internal=Decimal("0.05"), partner=Decimal(20), external=Decimal(30)),
    bands=(NIGHT, SUNDAY),
)
SEM = InstrumentFact(code="SEM", controller="c", policy=Policy(active_w=90.0), prices=PriceList(versions=(TARIFF,)))
XRD = InstrumentFact(code="XRD", controller="d")


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_night_can_be_halved_in_one_line(tmp_path: Path) -> None:
    overrides = read_overrides(None, written(tmp_path / "night.toml", "night_percent = 50"))
    changed = overrides.applied(SEM)
    assert isinstance(changed, InstrumentFact)
    assert changed.prices.versions == (msgspec.structs.replace(TARIFF, bands=(replaced(25), SUNDAY)),)


def replaced(percent: int) -> Band:
    return msgspec.structs.replace(NIGHT, percent=percent)


def test_percentages_are_rounded_half_up() -> None:
    assert changed_tariff(TARIFF, {"night_percent": 1}).bands[0] == replaced(1)
    assert changed_tariff(TARIFF, {"rate_percent": 50}).rates.internal == Decimal("0.03")


def test_everything_else_takes_the_place_of_what_was() -> None:
    changes = {"idle_percent": 0, "session_cap_cny": 12.5, "bands": [{"percent": 10}]}
    changed = changed_tariff(TARIFF, changes)
    assert changed == msgspec.structs.replace(
        TARIFF, idle_percent=0, session_cap_cny=Decimal("12.5"), bands=(Band(percent=10),)
    )


def test_what_is_for_one_instrument_wins(tmp_path: Path) -> None:
    text = "idle_for_ms = 1000\nstandby_w = 7\n[instrument.SEM]\nidle_for_ms = 2000\n"
    overrides = read_overrides(written(tmp_path / "policy.toml", text), None)
    sem, xrd, site = (overrides.applied(each) for each in (SEM, XRD, SiteFact()))
    assert isinstance(sem, InstrumentFact)
    assert isinstance(xrd, InstrumentFact)
    assert isinstance(site, SiteFact)
    assert sem.policy == Policy(active_w=90.0, standby_w=7.0, idle_for_ms=2_000)
    assert xrd.policy == site.policy == Policy(standby_w=7.0, idle_for_ms=1_000)


def test_tariffs_written_out_take_the_place_of_those_there_were(tmp_path: Path) -> None:
    later = msgspec.structs.replace(TARIFF, from_ms=9, use_percent=1)
    content = msgspec.json.encode([later, TARIFF]).decode()
    overrides = read_overrides(None, written(tmp_path / "tariffs.json", content))
    changed = overrides.applied(msgspec.structs.replace(SEM, prices=PriceList(versions=())))
    assert isinstance(changed, InstrumentFact)
    assert changed.prices.versions == (TARIFF, later)
    assert overrides.applied(XRD) == XRD


def test_people_are_left_alone() -> None:
    ada = UserFact(user=User("ada", UserCategory.STUDENT, 100))
    assert Overrides({None: {"standby_w": 1}}).applied(ada) is ada


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"nigth_percent": 50}, "unknown name: nigth_percent"),
        ({"instrument": {"SEM": {"from_ms": 1}}}, "unknown name: from_ms"),
        ({"instrument": {"SEM": 7}}, r"\[instrument.CODE\]"),
        ({"instrument": 7}, r"\[instrument.CODE\]"),
        ("night", r"\[instrument.CODE\]"),
        ([{"instrument": "SEM"}], "from_ms"),
    ],
)
def test_what_a_file_cannot_say_is_named(tmp_path: Path, content: object, words: str) -> None:
    with pytest.raises(OverrideError, match=words):
        read_overrides(None, written(tmp_path / "wrong.json", json.dumps(content)))


@pytest.mark.parametrize("changes", [{"rate_percent": -1}, {"night_percent": "half"}, {"use_percent": 5_000}])
def test_prices_that_cannot_be_are_named_with_their_instrument(changes: dict[str, object]) -> None:
    with pytest.raises(OverrideError, match="instrument:SEM"):
        Overrides(prices={None: changes}).applied(SEM)
