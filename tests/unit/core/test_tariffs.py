"""Tariffs, allowances and funds: what is read, what is refused, which version is in force; and bills that cannot be."""

from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest

from twin.rules.billing import Charge, Line, LineCause, charge, correction
from twin.rules.minutes import minute_runs
from twin.state import Category, Span
from twin.tariffs import Allowance, Band, Fund, Payer, PriceList, Rates, Tariff

SHANGHAI = ZoneInfo("Asia/Shanghai")
PLAIN: dict[str, object] = {
    "instrument": "SEM-01",
    "from_ms": 0,
    "rates": {"internal": "120.00", "partner": "150.00", "external": 200},
}
TARIFF = msgspec.convert(PLAIN, Tariff)
USE = (Span(1000, Category.USE),)


def version(from_ms: int, instrument: str = "SEM-01") -> Tariff:
    return msgspec.structs.replace(TARIFF, from_ms=from_ms, instrument=instrument)


def test_what_is_not_set_is_off() -> None:
    assert (
        Tariff(
            instrument="SEM-01",
            from_ms=0,
            rates=Rates(internal=Decimal(120), partner=Decimal(150), external=Decimal(200)),
            use_percent=100,
            idle_percent=100,
            overrun_percent=150,
            bands=(),
            startup_fee_cny=Decimal(0),
            min_minutes=0,
            session_cap_cny=None,
            no_show_percent=0,
        )
        == TARIFF
    )


def test_a_tariff_survives_being_written_down() -> None:
    tariff = msgspec.structs.replace(
        TARIFF, bands=(Band(percent=50, weekdays=(6, 7)),), session_cap_cny=Decimal("9.99")
    )
    assert msgspec.json.decode(msgspec.json.encode(tariff), type=Tariff) == tariff


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"rates": {"internal": "1", "partner": "1"}}, "missing required field `external`"),
        ({"rates": {"internal": "10", "partner": "1", "external": "9.99"}}, r"`external` \(9.99\) may not be below"),
        ({"rates": {"internal": "-0.01", "partner": "1", "external": "1"}}, "`internal`: -0.01 is not an amount"),
        ({"rates": {"internal": "1", "partner": "1.005", "external": "1"}}, "`partner`: 1.005 is not in whole fen"),
        ({"rates": {"internal": "1", "partner": "NaN", "external": "1"}}, "`partner`: NaN is not an amount"),
        ({"rates": {"internal": "1", "partner": "1", "external": "Infinity"}}, "`external`: Infinity is not"),
        ({"rates": {"internal": "1", "partner": "1", "external": "1000000000.01"}}, "is not an amount from 0 to"),
        ({"startup_fee_cny": "-1"}, "`startup_fee_cny`: -1 is not an amount"),
        ({"session_cap_cny": "0.001"}, "`session_cap_cny`: 0.001 is not in whole fen"),
        ({"use_percent": -1}, "`use_percent`: -1 is not from 0 to 1000"),
        ({"idle_percent": 1001}, "`idle_percent`: 1001 is not from 0 to 1000"),
        ({"overrun_percent": 1.5}, "Expected `int`, got `float`"),
        ({"no_show_percent": 101}, "`no_show_percent`: 101 is not from 0 to 100"),
        ({"min_minutes": 10_081}, "`min_minutes`: 10081 is not from 0 to 10080"),
        ({"startup_fee": "30.00"}, "unknown field `startup_fee`"),
        ({"bands": [{"percent": -1}]}, "`percent`: -1 is not from 0 to 1000"),
        ({"bands": [{"percent": 50, "from_minute": 1440}]}, "`from_minute`: 1440 is not from 0 to 1439"),
        ({"bands": [{"percent": 50, "until_minute": 0}]}, "`until_minute`: 0 is not from 1 to 1440"),
        ({"bands": [{"percent": 50, "from_minute": 60, "until_minute": 60}]}, "a band has a length"),
        ({"bands": [{"percent": 50, "weekdays": []}]}, "is not a choice of 1"),
        ({"bands": [{"percent": 50, "weekdays": [0, 1]}]}, "is not a choice of 1"),
        ({"bands": [{"percent": 50, "weekdays": [8]}]}, "is not a choice of 1"),
    ],
)
def test_a_tariff_that_cannot_be_is_refused(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.convert(PLAIN | change, Tariff)


@pytest.mark.parametrize(
    "change",
    [
        {"rates": {"internal": "10.50", "partner": "0", "external": "10.5"}},
        {"rates": {"internal": "1000000000", "partner": "0.01", "external": "1000000000.00"}},
        {"use_percent": 1000, "idle_percent": 0, "no_show_percent": 100, "min_minutes": 10_080},
        {"bands": [{"percent": 0, "from_minute": 1439, "until_minute": 1440, "weekdays": [1, 7]}]},
    ],
)
def test_bounds_are_allowed(change: dict[str, object]) -> None:
    assert msgspec.convert(PLAIN | change, Tariff).instrument == "SEM-01"


@pytest.mark.parametrize(
    ("kind", "value", "complaint"),
    [
        (Allowance, {"left_min": -1}, "`left_min`: -1 is not from 0"),
        (Fund, {"share_percent": 101, "left_cny": "1"}, "`share_percent`: 101 is not from 0 to 100"),
        (Fund, {"share_percent": 40, "left_cny": "-0.01"}, "`left_cny`: -0.01 is not an amount"),
        (Fund, {"share_percent": 40, "left_cny": "0.005"}, "`left_cny`: 0.005 is not in whole fen"),
    ],
)
def test_an_allowance_or_fund_that_cannot_be_is_refused(kind: type, value: dict[str, object], complaint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.convert(value, kind)


def test_a_version_is_in_force_from_its_moment_until_the_next() -> None:
    prices = PriceList(versions=(version(1000), version(2000)))
    in_force = {at_ms: prices.in_force(at_ms) for at_ms in (999, 1000, 1999, 2000, 10**13)}
    assert {at_ms: tariff and tariff.from_ms for at_ms, tariff in in_force.items()} == {
        999: None,
        1000: 1000,
        1999: 1000,
        2000: 2000,
        10**13: 2000,
    }
    assert PriceList(versions=()).in_force(0) is None


@pytest.mark.parametrize(
    ("versions", "complaint"),
    [
        ((version(2000), version(1000)), "1000 does not come after 2000"),
        ((version(1000), version(1000)), "1000 does not come after 1000"),
        ((version(1000), version(2000, "XRD-01")), "of two instruments, SEM-01 and XRD-01"),
    ],
)
def test_a_price_list_that_cannot_be_is_refused(versions: tuple[Tariff, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        PriceList(versions=versions)


def test_values_cannot_be_edited() -> None:
    with pytest.raises(AttributeError):
        TARIFF.min_minutes = 1  # type: ignore[misc] # that is what is tested


def charged(spans: tuple[Span, ...], start_ms: int, end_ms: int, tariff: Tariff = TARIFF) -> Charge:
    return charge(spans, start_ms, end_ms, tariff, Payer.INTERNAL, zone=SHANGHAI)


@pytest.mark.parametrize(
    ("spans", "start_ms", "end_ms", "complaint"),
    [
        ((), 1000, 2000, "does not reach back to the session's start, 1000"),
        (USE, 999, 2000, "does not reach back to the session's start, 999"),
        (USE, 2000, 1999, "session from 2000 until 1999: not in this order"),
        ((*USE, Span(1500, Category.OFF)), 1000, 2000, "a session has no off time"),
        ((Span(0, Category.STANDBY),), 1000, 2000, "a session has no standby time"),
        ((Span(0, Category.UNAUTHORISED),), 1000, 2000, "a session has no unauthorised time"),
    ],
)
def test_a_bill_that_cannot_be_is_refused(spans: tuple[Span, ...], start_ms: int, end_ms: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        charged(spans, start_ms, end_ms)


def test_a_tariff_does_not_hold_for_sessions_before_it() -> None:
    assert charged(USE, 1000, 2000, version(1000)).minutes == 1
    with pytest.raises(ValueError, match="tariff from 1001, session from 1000"):
        charged(USE, 1000, 2000, version(1001))


def test_a_correction_says_why_and_who() -> None:
    first = charged(USE, 1000, 61_000)
    assert correction([], first, "late data", "rules") == Line(
        cause=LineCause.CORRECTION, gross_cny=Decimal("2.00"), reason="late data", author="rules"
    )
    for reason, author in (("", "rules"), ("late data", " ")):
        with pytest.raises(ValueError, match="has a reason and an author"):
            correction([], first, reason, author)


@pytest.mark.parametrize("name", ["gross_cny", "allowance_cny", "subsidy_cny", "allowance_min"])
def test_whatever_differs_is_corrected(name: str) -> None:
    charge_now = charged(USE, 1000, 61_000)
    was = msgspec.structs.replace(charge_now.line, **{name: getattr(charge_now.line, name) + 1})
    line = correction([was], charge_now, "late data", "rules")
    assert line is not None
    amounts = {each: getattr(line, each) for each in ("gross_cny", "allowance_cny", "subsidy_cny", "allowance_min")}
    assert {each for each, amount in amounts.items() if amount} == {name}
    assert amounts[name] == -1


def test_a_long_session_takes_no_longer_than_a_short_one() -> None:
    """The work is in spans and bands: a week has 14 changes of band, and a look at the clock every six hours."""
    tariff = msgspec.structs.replace(TARIFF, bands=(Band(percent=50, from_minute=1320, until_minute=480),))
    plain, banded = (list(minute_runs(USE, 1000, 1000 + 7 * 86_400_000, each, SHANGHAI)) for each in (TARIFF, tariff))
    assert sum(run.minutes for run in plain) == sum(run.minutes for run in banded) == 7 * 1440
    assert len(plain) == 1
    assert len(banded) <= 14 + 28 + 2
