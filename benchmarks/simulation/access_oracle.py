"""Who is let in at a moment: the ten checks as the rules list them, read from the top."""

from dataclasses import dataclass, field
from decimal import Decimal

from benchmarks.simulation.site import START_S, Equipment, Site
from twin.directory import ProjectFact, UserFact
from twin.parties import Booking


@dataclass
class Standings:
    """Credit as it stands, shared by all instruments."""

    site: Site
    changes: list[tuple[int, str, int]] = field(default_factory=list)
    """When, whose, by how many points."""

    def credit(self, user: str) -> int:
        """What somebody has left of their hundred points."""
        return 100 + sum(points for _, whose, points in self.changes if whose == user)

    def lose(self, at_s: int, user: str, points: int) -> None:
        """A breach of the rules."""
        self.changes.append((at_s, user, -points))

    def person(self, name: str) -> UserFact:
        """Who it is. Raises StopIteration."""
        return next(each for each in self.site.users if each.user.id == name)

    def holder(self, card: str) -> UserFact:
        """Whose card it is. Raises StopIteration."""
        return next(each for each in self.site.users if card in each.cards)

    def project(self, user: str) -> ProjectFact:
        """Who pays for somebody. Raises StopIteration."""
        return next(each for each in self.site.projects if user in each.project.payers)


@dataclass(frozen=True)
class Asked:
    """A request for an instrument, and what is the case when it is made."""

    person: UserFact
    at_s: int
    online: bool
    by_card: bool
    override: bool
    user_in_session: str | None
    """Whose session is open or opening."""
    bookings: list[Booking]
    """Those of the instrument that stand."""


def theirs(person: UserFact, booking: Booking) -> bool:
    """Is it a booking of this person, or of their group?"""
    return booking.user == person.user.id or booking.group in person.user.groups


def start_s(booking: Booking) -> int:
    """When it begins, s from the start of the simulation."""
    return booking.start_ms // 1000 - START_S


def end_s(booking: Booking) -> int:
    """When it ends."""
    return booking.end_ms // 1000 - START_S


def own_booking(asked: Asked, one: Equipment) -> Booking | None:
    """The own booking that covers the moment, `early` before it begins included."""
    early_s = one.policy.early_ms // 1000
    own = [each for each in asked.bookings if theirs(asked.person, each)]
    return next((each for each in own if start_s(each) - early_s <= asked.at_s < end_s(each)), None)


def allowed(asked: Asked, one: Equipment, standings: Standings) -> bool:  # noqa: PLR0911  # as many as checks
    """The checks of section 2, in their order."""
    policy, user = one.policy, asked.person.user
    now_ms = (START_S + asked.at_s) * 1000
    if any(each.from_ms <= now_ms < each.until_ms for each in one.fact.downtimes):
        return False  # 1
    if not asked.online and not asked.by_card:
        return False  # 2
    if not user.active or now_ms >= user.valid_until_ms:
        return False  # 3
    if asked.user_in_session not in {None, user.id}:
        return False  # 9
    if asked.override and one.fact.code in user.operates:
        return True
    if standings.credit(user.id) < policy.credit_limit_points:
        return False  # 4
    payer = standings.project(user.id).project
    booking = own_booking(asked, one)
    needed_cny = max(policy.min_balance_cny, booking.estimate_cny if booking else Decimal(0))
    if payer.balance_cny + payer.credit_line_cny < needed_cny:
        return False  # 5 and 7
    if not any(each.instrument == one.fact.code for each in asked.person.qualifications):
        return False  # 6
    return booking is not None or (policy.walk_in and _free_for_walk_in(asked, one))  # 8 (always open) and 10


def _free_for_walk_in(asked: Asked, one: Equipment) -> bool:
    """Does nobody else hold the instrument now, nor begin to within `walk_in_free`?"""
    soon_s = asked.at_s + one.policy.walk_in_free_ms // 1000
    others = [each for each in asked.bookings if not theirs(asked.person, each)]
    return not any(start_s(each) < soon_s and asked.at_s < end_s(each) for each in others)
