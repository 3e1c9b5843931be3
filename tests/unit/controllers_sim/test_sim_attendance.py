"""People who follow a plan: what they do, and how the relay decides how far they get."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from controllers_sim.attendance import Attendance
from controllers_sim.manners import MIN_MS
from controllers_sim.people import Habits, Scene, midnight_ms
from controllers_sim.persons import LINE_MS, NOTICE_MS, Person, Phase
from controllers_sim.plan import Booking
from controllers_sim.profiles import PROFILES
from controllers_sim.scenario import ControllerEntry, Scenario
from controllers_sim.sources import Deserted, sources_of
from controllers_sim.stays import DOOR_MS, Stay, intruders, stay_of, without_booking

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 3, 4)
NINE_MS = midnight_ms(DAY, SHANGHAI) + 9 * 3_600_000
TEN_MS = NINE_MS + 3_600_000
STAY = Stay(
    "aa", NINE_MS, use_ms=NINE_MS + 2 * MIN_MS, done_ms=TEN_MS - 4 * MIN_MS, end_ms=TEN_MS - 3 * MIN_MS, until_ms=TEN_MS
)
HABITS = Habits(3, PROFILES["furnace"], SHANGHAI)


def changed(**fields: object) -> Stay:
    return Stay(**{name: getattr(STAY, name) for name in STAY.__slots__} | fields)  # type: ignore[arg-type] # by name


@dataclass
class Watch:
    """Somebody watched second by second; `power` says since when power gets through."""

    person: Person
    power: Callable[[int, list[int]], int | None]
    taps: list[int] = field(default_factory=list)
    worked: list[int] = field(default_factory=list)
    present: list[int] = field(default_factory=list)
    door_open: list[int] = field(default_factory=list)

    def until(self, end_ms: int) -> "Watch":
        for now_ms in range(self.person.stay.begin_ms - 5000, end_ms, 1000):
            power = self.power(now_ms, self.taps)
            if self.person.step(now_ms, power, taken=False):
                self.taps.append(now_ms)
            if power is not None and self.person.works(now_ms):
                self.worked.append(now_ms)
            if self.person.is_present(now_ms):
                self.present.append(now_ms)
            if self.person.moves_door(now_ms):
                self.door_open.append(now_ms)
        return self


def granted(now_ms: int, taps: list[int]) -> int | None:
    """A service that gives power 2 s after the first tap of two."""
    return taps[0] + 2000 if len(taps) == 1 and now_ms >= taps[0] + 2000 else None


def never(now_ms: int, taps: list[int]) -> int | None:
    return None


def always(now_ms: int, taps: list[int]) -> int | None:
    return 0


def watched(stay: Stay, power: Callable[[int, list[int]], int | None]) -> Watch:
    return Watch(Person(stay), power).until(TEN_MS + 3_600_000)


def test_somebody_taps_waits_for_power_works_taps_and_leaves() -> None:
    seen = watched(STAY, granted)
    assert seen.taps == [STAY.begin_ms, STAY.end_ms]
    assert (seen.present[0], seen.present[-1]) == (NINE_MS + 2000, STAY.end_ms - 1000)
    assert (seen.worked[0], seen.worked[-1]) == (STAY.use_ms, STAY.done_ms - 1000)
    assert seen.person.phase is Phase.GONE


def test_use_begins_only_once_the_relay_is_on() -> None:
    slow_ms = STAY.use_ms + 30_000
    seen = watched(STAY, lambda now_ms, taps: slow_ms if len(taps) == 1 and now_ms >= slow_ms else None)
    assert seen.taps == [STAY.begin_ms, STAY.end_ms]
    assert seen.worked[0] == slow_ms
    person = Person(STAY)
    for now_ms in range(NINE_MS, slow_ms + 1000, 1000):
        person.step(now_ms, slow_ms if now_ms >= slow_ms else None, taken=False)
    assert person.used_since_ms(slow_ms) == slow_ms


def test_whoever_gets_no_power_asks_again_and_gives_up_without_having_been_inside() -> None:
    seen = watched(STAY, never)
    assert seen.taps == [NINE_MS + minutes * MIN_MS for minutes in (0, 3, 6)]
    assert (seen.present, seen.worked, seen.door_open) == ([], [], [])
    assert seen.person.phase is Phase.GONE


def test_a_door_is_open_but_briefly_and_only_after_the_power_came() -> None:
    seen = watched(STAY, granted)
    assert len(seen.door_open) == 2 * DOOR_MS // 1000
    assert seen.door_open[0] == NINE_MS + 2000
    assert seen.door_open[-1] == STAY.end_ms + DOOR_MS - 1000


def test_whoever_forgets_leaves_without_a_tap_and_what_runs_goes_on() -> None:
    half_ms = NINE_MS + 30 * MIN_MS
    seen = watched(changed(end_ms=half_ms, forgets=True), granted)
    assert seen.taps == [STAY.begin_ms]
    assert seen.present[-1] == half_ms - 1000
    assert seen.worked[-1] == STAY.done_ms - 1000


def test_what_was_left_running_ends_with_the_power() -> None:
    half_ms, cut_ms = NINE_MS + 30 * MIN_MS, NINE_MS + 40 * MIN_MS
    seen = watched(
        changed(end_ms=half_ms, forgets=True), lambda now_ms, taps: granted(now_ms, taps) if now_ms < cut_ms else None
    )
    assert seen.worked[-1] == cut_ms - 1000
    assert seen.person.phase is Phase.GONE


def test_whoever_overstays_works_on_until_the_power_is_cut_and_does_not_ask_again() -> None:
    cut_ms = TEN_MS + 5 * MIN_MS
    stay = changed(done_ms=TEN_MS + 20 * MIN_MS, end_ms=TEN_MS + 21 * MIN_MS)
    seen = watched(stay, lambda now_ms, taps: granted(now_ms, taps) if now_ms < cut_ms else None)
    assert seen.taps == [STAY.begin_ms]
    assert seen.worked[-1] == cut_ms - 1000
    assert seen.present[-1] == cut_ms + NOTICE_MS - 1000


def test_an_instrument_idles_through_a_long_break() -> None:
    break_ms = (NINE_MS + 10 * MIN_MS, NINE_MS + 50 * MIN_MS)
    seen = watched(changed(break_ms=break_ms), granted)
    assert not any(break_ms[0] <= t_ms < break_ms[1] for t_ms in (*seen.worked, *seen.present))
    assert seen.worked[-1] == STAY.done_ms - 1000
    assert seen.taps == [STAY.begin_ms, STAY.end_ms]


def test_whoever_finds_the_session_ended_after_a_break_asks_again() -> None:
    break_ms, cut_ms = (NINE_MS + 10 * MIN_MS, NINE_MS + 45 * MIN_MS), NINE_MS + 40 * MIN_MS

    def power(now_ms: int, taps: list[int]) -> int | None:
        if len(taps) == 2:
            return taps[1] + 1000 if now_ms > taps[1] else None
        return granted(now_ms, taps) if now_ms < cut_ms else None

    seen = watched(changed(break_ms=break_ms), power)
    assert seen.taps == [STAY.begin_ms, break_ms[1] + NOTICE_MS, STAY.end_ms]
    assert seen.worked[-1] == STAY.done_ms - 1000


def test_one_without_a_booking_tries_three_times_in_a_row_and_goes() -> None:
    seen = watched(changed(asks=3, patience_ms=20_000, booked=False), never)
    assert [tap - NINE_MS for tap in seen.taps] == [0, 20_000, 40_000]
    assert not seen.present


def test_one_without_a_booking_does_not_use_what_is_on_for_somebody_else() -> None:
    stay = changed(asks=1, patience_ms=60_000, booked=False)
    assert not watched(stay, always).present
    assert watched(stay, granted).worked  # let in as a walk-in


@pytest.mark.parametrize(("power", "works"), [(always, True), (never, False)])
def test_an_intruder_shows_no_card_and_works_where_there_is_power(
    power: Callable[[int, list[int]], int | None], *, works: bool
) -> None:
    seen = watched(changed(card="", asks=0), power)
    assert seen.taps == []
    assert bool(seen.worked) is works
    assert (seen.present[0], seen.present[-1]) == (NINE_MS, STAY.end_ms - 1000)


def test_a_forced_door_stays_open() -> None:
    seen = watched(changed(asks=0, door_ms=60_000), never)
    assert sum(t_ms < NINE_MS + 120_000 for t_ms in seen.door_open) == 60


# A whole instrument


class Service:
    """Gives power to whoever taps, until the same card is tapped again. Looks every second."""

    def __init__(self, attendance: Attendance, power: int | None = None) -> None:
        self.attendance = attendance
        self.power = power
        self.owner: str | None = None
        self.taps: list[tuple[int, str]] = []
        self.scenes: list[tuple[int, Scene]] = []

    def run(self, from_ms: int, to_ms: int, every_ms: int = 1000) -> "Service":
        for now_ms in range(from_ms, to_ms, every_ms):
            scene, cards = self.attendance.look(now_ms, self.power)
            self.scenes.append((now_ms, scene))
            for card in cards:
                self.taps.append((now_ms, card))
                self._answer(now_ms, card)
        return self

    def _answer(self, now_ms: int, card: str) -> None:
        if self.owner == card:
            self.owner, self.power = None, None
        elif self.owner is None:
            self.owner, self.power = card, now_ms + 1


def bookings() -> tuple[Booking, ...]:
    return (
        Booking("aa", NINE_MS, TEN_MS, "anna"),
        Booking("bb", TEN_MS, TEN_MS + 7_200_000, "ben"),
        Booking("cc", TEN_MS + 7_200_000, TEN_MS + 10_800_000, "cleo"),
    )


def attendance(mischief: float = 0.0, habits: Habits = HABITS) -> Attendance:
    return Attendance(habits, bookings(), (), mischief)


def test_without_mischief_every_booking_is_two_taps_and_one_use() -> None:
    day = Service(attendance()).run(NINE_MS - 600_000, NINE_MS + 6 * 3_600_000)
    assert [card for _, card in day.taps] == ["aa", "aa", "bb", "bb", "cc", "cc"]
    uses = {scene.use.used_since_ms for _, scene in day.scenes} - {None}
    assert len(uses) == 3
    assert day.scenes[-1][1] == Scene(occupied=False, door="closed", use=day.scenes[0][1].use)


@pytest.mark.parametrize(("leaves_after_ms", "taps_after_ms"), [(5 * MIN_MS, 5 * MIN_MS), (2 * LINE_MS, LINE_MS)])
def test_whoever_finds_somebody_inside_waits_but_not_for_ever(leaves_after_ms: int, taps_after_ms: int) -> None:
    person = Person(STAY)
    looks = range(NINE_MS, NINE_MS + leaves_after_ms + 1000, 1000)
    taps = [t_ms for t_ms in looks if person.step(t_ms, None, taken=t_ms < NINE_MS + leaves_after_ms)]
    assert taps[0] == NINE_MS + taps_after_ms


def test_the_same_seed_gives_the_same_day() -> None:
    def taps(seed: int) -> list[tuple[int, str]]:
        people = attendance(1.0, Habits(seed, PROFILES["furnace"], SHANGHAI))
        return Service(people).run(NINE_MS - 600_000, NINE_MS + 6 * 3_600_000, 5000).taps

    assert taps(1) == taps(1) != taps(2)


def test_a_stay_under_way_is_taken_up_soon_after_the_start() -> None:
    late_ms = NINE_MS + 20 * MIN_MS
    day = Service(attendance()).run(late_ms, TEN_MS - 10 * MIN_MS)
    [(tapped_ms, card)] = day.taps
    assert card == "aa"
    assert 4_000 <= tapped_ms - late_ms <= 41_000


def test_a_stay_under_way_goes_on_without_a_card_if_the_power_comes_back() -> None:
    late_ms, people = NINE_MS + 20 * MIN_MS, attendance()
    people.look(late_ms, None)
    day = Service(people, late_ms + 5000).run(late_ms + 5000, TEN_MS - 10 * MIN_MS)
    assert not day.taps
    assert day.scenes[-1][1].occupied


def test_where_power_is_there_at_the_start_a_stay_under_way_is_left_out() -> None:
    day = Service(attendance(), 0).run(NINE_MS + 20 * MIN_MS, TEN_MS - 6 * MIN_MS)
    assert not any(scene.occupied for _, scene in day.scenes)


def test_a_booking_made_meanwhile_is_followed() -> None:
    people = Attendance(HABITS, (), (), 0.0)
    people.look(NINE_MS - 3_600_000, None)
    people.book(Booking("dd", NINE_MS, TEN_MS, "dora"))
    assert [card for _, card in Service(people).run(NINE_MS - 600_000, TEN_MS).taps] == ["dd", "dd"]


def test_what_is_switched_by_hand_is_on_while_somebody_works_and_off_afterwards() -> None:
    day = Service(attendance(), 0).run(NINE_MS - 600_000, NINE_MS + 6 * 3_600_000)
    first = next(scene.use for _, scene in day.scenes if scene.use.used_since_ms is not None)
    assert first.on_since_ms == first.used_since_ms
    assert day.scenes[0][1].use.on_since_ms is day.scenes[-1][1].use.on_since_ms is None


def test_strangers_come_on_the_day_they_would() -> None:
    habits = next(
        habits
        for habits in (Habits(seed, PROFILES["furnace"], SHANGHAI) for seed in range(1000))
        if without_booking(habits, ("ee",), 1.0, DAY) and intruders(habits, 1.0, DAY)
    )
    [stranger], [intruder] = without_booking(habits, ("ee",), 1.0, DAY), intruders(habits, 1.0, DAY)
    people = Attendance(habits, (), ("ee",), 1.0)
    midnight = midnight_ms(DAY, SHANGHAI)
    tapped: list[int] = []
    seen: list[int] = []
    for now_ms in range(midnight, midnight + 86_400_000, 5000):
        scene, cards = people.look(now_ms, None)
        tapped += [now_ms] * len(cards)
        seen += [now_ms] * scene.occupied
    assert len(tapped) == stranger.asks
    assert 0 <= tapped[0] - stranger.begin_ms < 5000
    assert 0 <= seen[0] - intruder.begin_ms < 5000
    assert len(seen) * 5000 == pytest.approx(intruder.end_ms - intruder.begin_ms, abs=5000)


# The time before the first connection


def test_nobody_has_used_a_planned_instrument_before_anybody_watched() -> None:
    entry = ControllerEntry("wk-01", profile="workstation", bookings=bookings())
    past = sources_of(entry, Scenario((entry,), mischief=0.0)).past
    seen = [past.observe(t_ms - 30_000, t_ms, 0) for t_ms in range(NINE_MS, NINE_MS + 6 * 3_600_000, 30_000)]
    assert all(one is not None and one.power_w < 5 and not one.occupied and not one.cards for one in seen)
    live = sources_of(entry, Scenario((entry,), mischief=0.0)).live
    looks = [live.observe(t_ms - 30_000, t_ms, 0) for t_ms in range(NINE_MS, NINE_MS + 6 * 3_600_000, 30_000)]
    assert any(one is not None and one.power_w > 100 for one in looks)  # while live it would have been used


def test_an_intruder_of_the_past_is_seen_and_uses_what_has_power() -> None:
    habits, stay = next(
        (habits, stay)
        for habits in (Habits(seed, PROFILES["workstation"], SHANGHAI) for seed in range(1000))
        for stay in intruders(habits, 1.0, DAY)
        if stay.done_ms > stay.use_ms
    )
    past, middle_ms = Deserted(habits, 1.0), (stay.use_ms + stay.done_ms) // 2
    inside, dark, after = (
        past.observe(0, t_ms, power) for t_ms, power in ((middle_ms, 0), (middle_ms, None), (stay.end_ms + DOOR_MS, 0))
    )
    assert (inside.occupied, dark.occupied, after.occupied) == (True, True, False)
    assert inside.power_w > 50
    assert max(dark.power_w, after.power_w) < 5


def test_most_nights_of_the_past_are_quiet() -> None:
    nights = [DAY + timedelta(days=number) for number in range(500)]
    assert sum(len(intruders(HABITS, 1.0, night)) for night in nights) < 50


def test_the_stay_that_a_booking_gives_is_the_one_that_is_lived() -> None:
    stay = stay_of(bookings()[0], HABITS.seed, 0.0)
    assert stay is not None
    day = Service(attendance()).run(NINE_MS - 600_000, TEN_MS)
    assert 0 <= day.taps[0][0] - stay.begin_ms < 1000
