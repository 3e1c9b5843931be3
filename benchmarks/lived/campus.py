"""The site of the tables as the simulated world wants it."""

from collections.abc import Sequence

from benchmarks.simulation.site import Equipment, Habits, Site
from twin.directory import BookingFact, Fact, InstrumentFact, ProjectFact, UserFact
from twin.policy import Cut

BEAT_S = 88
"""A reading at least this often: just before a controller that is silent counts as stale."""
HABITS = Habits(
    absent=0.04,
    late=0.02,
    early_s=5 * 60,
    overstaying=0.08,
    unbooked_a_day=0.2,
    sneaking_a_night=0.04,
    ended_by_staff_a_day=0.02,
    forgetting=0.1,
    disobeying=0.004,
    answer_s=1,
    losses_a_day=0.05,
)
"""Those of a well-run facility."""
SEED = 1


def campus(facts: Sequence[Fact], bookings: Sequence[BookingFact], start_s: int, days: int, staff: str) -> Site:
    """Everything with a controller, everybody with a card, from a midnight on; `staff` helps and ends sessions."""
    return Site(
        SEED,
        days,
        calm=True,
        equipment=tuple(_equipment(fact) for fact in facts if isinstance(fact, InstrumentFact)),
        users=tuple(fact for fact in facts if isinstance(fact, UserFact) and fact.cards),
        projects=tuple(fact for fact in facts if isinstance(fact, ProjectFact)),
        bookings=tuple(fact.booking for fact in bookings if fact.booking is not None),
        start_s=start_s,
        habits=HABITS,
        staff=staff,
    )


def _equipment(fact: InstrumentFact) -> Equipment:
    policy = fact.policy
    return Equipment(
        fact,
        metered=True,
        relay=policy.cut is not Cut.NEVER,
        presence=True,
        beat_s=BEAT_S,
        active_w=policy.active_w * 1.4,
        standby_w=(policy.standby_w + policy.active_w) / 2,
    )
