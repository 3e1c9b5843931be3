"""Bills against the oracle, on random sessions; and what must not make a difference to them."""

import random
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulation.bill_oracle import amounts, minute_prices, rounded
from tests.property.streams import profile
from twin.rules.billing import Charge, Line, charge, correction
from twin.state import Category, Span
from twin.tariffs import FEN, Allowance, Band, Fund, Payer, Rates, Tariff

SESSION_CATEGORIES = (
    Category.USE,
    Category.IDLE,
    Category.OVERRUN,
    Category.UNKNOWN,
    Category.MAINTENANCE,
    Category.COOLDOWN,
)
NEAR_CLOCK_CHANGES_S = (1_774_745_000, 1_792_886_000)  # 2026 in Berlin: 29 March 01:43, 25 October 01:53


@dataclass(frozen=True)
class Session:
    """A session as its categories, second by second, and on what terms."""

    start_s: int
    seconds: tuple[Category, ...]
    tariff: Tariff
    payer: Payer
    zone: ZoneInfo
    allowance: Allowance
    fund: Fund

    def charged(self, seconds: int | None = None) -> Charge:
        """After so many seconds; at its end."""
        length = len(self.seconds) if seconds is None else seconds
        return self.charged_for(self.spans(), 1000 * length)

    def charged_for(self, spans: tuple[Span, ...], length_ms: int) -> Charge:
        start_ms = 1000 * self.start_s
        return charge(
            spans,
            start_ms,
            start_ms + length_ms,
            self.tariff,
            self.payer,
            zone=self.zone,
            allowance=self.allowance,
            fund=self.fund,
        )

    def spans(self) -> tuple[Span, ...]:
        """The ledger of it, as short as it can be."""
        changes = [second for second, pair in enumerate(pairwise(self.seconds), 1) if pair[0] is not pair[1]]
        return tuple(Span(1000 * (self.start_s + second), self.seconds[second]) for second in (0, *changes))

    def category(self, second: int) -> Category:
        return self.seconds[second - self.start_s]

    def with_seconds(self, seconds: tuple[Category, ...]) -> "Session":
        return Session(self.start_s, seconds, self.tariff, self.payer, self.zone, self.allowance, self.fund)


def fen(most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, most).map(lambda each: Decimal(each).scaleb(-2))


bands = st.builds(
    lambda percent, start, length, days: Band(
        percent=percent, from_minute=start, until_minute=(start + length) % 1440 or 1440, weekdays=tuple(days)
    ),
    st.integers(0, 300),
    st.integers(0, 1438),
    st.integers(1, 1439),
    st.sets(st.integers(1, 7), min_size=1),
).filter(lambda band: band.from_minute != band.until_minute)

tariffs = st.builds(
    lambda rates, **rest: Tariff(
        instrument="SEM-01",
        from_ms=0,
        rates=Rates(internal=min(rates), partner=rates[0], external=max(rates)),
        **rest,
    ),
    st.tuples(fen(100_000), fen(100_000), fen(100_000)),
    use_percent=st.just(100) | st.integers(0, 300),
    idle_percent=st.sampled_from([0, 50, 100, 150]),
    overrun_percent=st.just(150) | st.integers(0, 300),
    bands=st.lists(bands, max_size=3).map(tuple),
    startup_fee_cny=st.just(Decimal("0.00")) | fen(10_000),
    min_minutes=st.just(0) | st.integers(0, 40),
    session_cap_cny=st.none() | fen(100_000),
)

stretches = st.lists(st.tuples(st.sampled_from(SESSION_CATEGORIES), st.integers(1, 400)), max_size=25)
told_seconds = stretches.map(
    lambda each: tuple(category for category, length in each for _ in range(length)) or (Category.USE,)
)
starts_s = st.integers(1_700_000_000, 1_800_000_000) | st.builds(
    lambda near, after: near + after, st.sampled_from(NEAR_CLOCK_CHANGES_S), st.integers(0, 7200)
)
zones = st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]).map(ZoneInfo)
sessions = st.builds(
    Session,
    starts_s,
    told_seconds,
    tariffs,
    st.sampled_from(Payer),
    zones,
    st.integers(0, 60).map(lambda left: Allowance(left_min=left)),
    st.builds(lambda share, left: Fund(share_percent=share, left_cny=left), st.integers(0, 100), fen(20_000)),
)


@profile(300)
@given(sessions)
def test_a_bill_is_what_the_rules_say(session: Session) -> None:
    made = session.charged()
    end_s = session.start_s + len(session.seconds)
    prices = minute_prices(session.category, session.start_s, end_s, session.tariff, session.payer, zone=session.zone)
    exact = amounts(prices, session.tariff, session.payer, session.allowance, session.fund)
    gross, free, subsidy = map(rounded, exact)
    assert made.minutes == len(prices)
    assert (made.line.gross_cny, made.line.allowance_cny) == (gross, free)
    assert made.line.subsidy_cny == min(subsidy, gross - free)
    assert made.line.allowance_min == min(session.allowance.left_min, len(prices))
    assert abs(made.line.net_cny - rounded(exact[0] - exact[1] - exact[2])) <= FEN


@profile(150)
@given(sessions, st.integers(0, 999))
def test_no_more_minutes_than_have_begun(session: Session, less_ms: int) -> None:
    length_ms = 1000 * len(session.seconds) - less_ms
    made = session.charged_for(session.spans(), length_ms)
    assert 0 <= 60_000 * made.minutes - length_ms < 60_000
    assert sum(part.minutes for part in made.parts) == made.minutes


@profile(150)
@given(sessions)
def test_a_bill_adds_up_in_whole_fen(session: Session) -> None:
    line = session.charged().line
    assert line.net_cny == line.gross_cny - line.allowance_cny - line.subsidy_cny >= 0
    for amount in (line.gross_cny, line.allowance_cny, line.subsidy_cny, line.net_cny):
        assert amount.as_tuple().exponent == -2
        assert amount >= 0
    assert line.subsidy_cny <= session.fund.left_cny
    if session.tariff.session_cap_cny is not None:
        assert line.gross_cny <= session.tariff.session_cap_cny


@profile(100)
@given(sessions, st.lists(st.integers(0, 1_000_000), max_size=20), st.integers(0, 100_000))
def test_spans_cut_in_pieces_make_the_same_bill(session: Session, cuts: list[int], before_ms: int) -> None:
    start_ms, length = 1000 * session.start_s, len(session.seconds)
    pieces = [Span(start_ms + cut % (1000 * length), session.seconds[cut % (1000 * length) // 1000]) for cut in cuts]
    both = {span.start_ms: span for span in (*session.spans(), *pieces)}
    first = both.pop(start_ms)
    since_ms = start_ms - before_ms
    earlier = (Span(since_ms - 1, Category.OFF), Span(since_ms, first.category))
    cut_up = (*earlier, *(both[at_ms] for at_ms in sorted(both)))
    assert session.charged_for(cut_up, 1000 * length) == session.charged()


@profile(100)
@given(sessions, st.randoms(use_true_random=False))
def test_in_which_order_a_minute_was_spent_makes_no_difference(session: Session, chance: random.Random) -> None:
    mixed: list[Category] = []
    for first in range(0, len(session.seconds), 60):
        minute = list(session.seconds[first : first + 60])
        chance.shuffle(minute)
        mixed += minute
    assert session.with_seconds(tuple(mixed)).charged() == session.charged()


@profile(100)
@given(sessions, st.data())
def test_the_gross_cost_grows_while_a_session_runs(session: Session, data: st.DataObject) -> None:
    """From each full minute on. Within a minute it may fall again, since what covers most of it is not settled yet."""
    length = len(session.seconds)
    now_s = data.draw(st.integers(0, length))
    full_s = data.draw(st.integers(0, now_s // 60)) * 60
    assert session.charged(full_s).line.gross_cny <= session.charged(now_s).line.gross_cny


@profile(100)
@given(sessions, st.lists(told_seconds, min_size=1, max_size=4))
def test_all_lines_together_are_the_charge_as_it_is_now_known(
    session: Session, news: list[tuple[Category, ...]]
) -> None:
    lines = [session.charged().line]
    for seconds in news:
        new = session.with_seconds(seconds).charged()
        line = correction(lines, new, "late data", "rules")
        lines += [line] if line else []
        assert total(lines) == total([new.line])
        assert correction(lines, new, "late data", "rules") is None


def total(lines: list[Line]) -> tuple[Decimal, Decimal, Decimal, Decimal, int]:
    return (
        sum((line.gross_cny for line in lines), Decimal()),
        sum((line.allowance_cny for line in lines), Decimal()),
        sum((line.subsidy_cny for line in lines), Decimal()),
        sum((line.net_cny for line in lines), Decimal()),
        sum(line.allowance_min for line in lines),
    )
