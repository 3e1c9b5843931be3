"""Who may do what, checked on the instrument concerned.

Everybody who is signed in may ask for access for themselves, unlock as themselves, end their own session, and see their
own sessions and bookings: that needs no line here. This is the table of all that goes beyond it.
"""

from enum import StrEnum
from typing import Final

from twin.interface import Person
from web.problems import Code, Problem


class Deed(StrEnum):
    """What not everybody may do."""

    ASK_FOR_OTHERS = "ask whether somebody else may use an instrument"
    MAINTAIN = "unlock an instrument to maintain it, free of charge"
    END_FOR_OTHERS = "end somebody else's session"
    STOP = "stop an instrument in an emergency"
    SEE_SESSIONS = "see sessions of others"
    SEE_NAMES = "see whose sessions they are"
    SEE_ALERTS = "see alerts"
    ACKNOWLEDGE = "acknowledge alerts"
    RESOLVE = "resolve alerts"
    SILENCE = "silence alerts"


OPERATING: Final = frozenset(Deed)
"""What operate rights on an instrument allow there."""
EVERYWHERE: Final[dict[str, frozenset[Deed]]] = {
    "administrator": OPERATING,
    "platform_manager": OPERATING,
    "security": frozenset({Deed.STOP, Deed.SEE_ALERTS, Deed.ACKNOWLEDGE}),
    "analyst": frozenset({Deed.SEE_SESSIONS}),
}
"""What a role allows on all instruments, and about the site as a whole."""


def where(person: Person | None, deed: Deed) -> frozenset[str] | None:
    """The instruments on which a person may do this; None: everywhere."""
    if person is None:
        return frozenset()
    if deed in EVERYWHERE.get(person.role, ()):
        return None
    return person.operates if deed in OPERATING else frozenset()


def may(person: Person | None, deed: Deed, instrument: str | None) -> bool:
    """May this person do this to an instrument, or (None) to the site as a whole?"""
    allowed = where(person, deed)
    return allowed is None or instrument in allowed


def demand(person: Person, deed: Deed, instrument: str | None) -> None:
    """See to it that a person may do this.

    Raises:
        Problem: FORBIDDEN.

    """
    if not may(person, deed, instrument):
        there = "here" if instrument is None else f"at {instrument}"
        raise Problem(Code.FORBIDDEN, f"You may not {deed.value} {there}.")
