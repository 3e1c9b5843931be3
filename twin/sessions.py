"""The session of one instrument as values: where it stands, what its relay was told, and what follows from a step.

    none --request granted--> opening --relay reported on--> open --ended--> cooldown --not active--> none
                                 |
                                 +--no report in time, refused, withdrawn--> none (void)

Times are milliseconds since the epoch, UTC.
"""

from enum import StrEnum
from typing import TypeAlias

import msgspec

from twin.parties import Booking, User
from twin.state import FOREVER_MS


class CloseReason(StrEnum):
    """Why a session ended."""

    USER = "USER"
    """Its person, or somebody of its group: by card, phone or web."""
    STAFF = "STAFF"
    SLOT_END = "SLOT_END"
    """Its time was over, or another person's booking began."""
    IDLE = "IDLE"
    """Nobody used it."""
    EMERGENCY = "EMERGENCY"
    RECONCILED = "RECONCILED"
    """Nobody saw it end; the end is that of use, as seen in the power."""


class VoidReason(StrEnum):
    """Why a session never opened; nothing is billed."""

    NOT_CONFIRMED = "not_confirmed"
    """The relay was not reported on in time."""
    REFUSED = "refused"
    """The controller refused to switch it on."""
    WITHDRAWN = "withdrawn"
    """Somebody ended it before it opened."""


class CooldownEnd(StrEnum):
    """Why a cooldown ended."""

    SAFE = "safe"
    """The instrument does not work any more."""
    RAN_OUT = "ran_out"
    """It took longer than the policy allows."""
    NEXT_SESSION = "next_session"
    """Somebody else was granted the instrument."""


class OverrunReason(StrEnum):
    """Why a session goes on after slot and grace."""

    FREE = "free"
    """The policy allows it, and nobody else has booked."""
    ALERT_ONLY = "alert_only"
    """The policy is that the clock ends nothing."""


class Failure(StrEnum):
    """Why a command failed."""

    NOT_CONFIRMED = "not_confirmed"
    REFUSED = "refused"


class Ignorance(StrEnum):
    """Why a step changes nothing."""

    NOT_GRANTED = "not_granted"
    IN_SESSION = "in_session"
    """A session is opening or open already."""
    NO_SESSION = "no_session"
    """There is none to end."""


class TapMeaning(StrEnum):
    """What somebody wants who holds a card to the reader."""

    END = "end"
    ASK = "ask"


class OrderState(StrEnum):
    """What has become of a command to the relay."""

    WAITING = "waiting"
    """The controller cannot be heard: it is sent when it can."""
    SENT = "sent"
    CONFIRMED = "confirmed"
    FAILED = "failed"


class _Value(msgspec.Struct, frozen=True, gc=False, tag=True):
    """Immutable and compact; the tag tells the members of a union apart."""


class Use(_Value, frozen=True):
    """Who uses the instrument, and by what right."""

    id: str
    """Of the session."""
    user: User
    requested_ms: int
    booking: Booking | None = None
    """None: walked in."""
    project: str | None = None
    """Which pays; None: nobody does."""
    override_reason: str | None = None
    """Why staff went ahead in spite of a check."""
    maintenance: bool = False
    """To repair or calibrate it."""


class Free(_Value, frozen=True):
    """There is no session."""


class Opening(_Value, frozen=True):
    """Granted; the relay has been commanded on and has not been reported so."""

    use: Use


class Open(_Value, frozen=True):
    """The instrument is in use."""

    use: Use
    opened_ms: int
    warned_for_ms: int | None = None
    """The end of the slot that the user has been warned about."""
    overran_for_ms: int | None = None
    """The end of the slot after which the session was let go on."""
    idle_ms: int = 0
    """How long it had been idle, time when nobody could say left out, at `idle_told_ms`."""
    idle_told_ms: int = 0


class Cooldown(_Value, frozen=True):
    """The session has ended; the instrument is not known to be safe to cut."""

    use: Use
    opened_ms: int
    ended_ms: int
    reason: CloseReason


SessionState: TypeAlias = Free | Opening | Open | Cooldown


class Order(_Value, frozen=True):
    """The last command to the relay. What the relay should be is `on`, whatever became of the command."""

    on: bool
    state: OrderState
    expires_ms: int
    """Sent: until when it must be confirmed."""
    sent_ms: int = 0
    """When it was given, or last sent."""
    urgent: bool = False
    """Off at once, whatever the instrument does."""
    boot: str = ""
    """Which start of the controller it was given to."""
    drift_ms: int | None = None
    """Since when the relay is not as it was confirmed to be; None: it is, or it never was."""
    tries: int = 0
    """How often it has been given anew because the relay had drifted."""
    in_doubt: bool = False
    """What is reported may be from before this command was obeyed, or one that it overtakes; until it is answered."""
    is_reported: bool = False
    """The relay has been reported since the command was sent, on or off."""
    unsent_ms: int | None = None
    """When it turned out that it could not be sent in time: it came to nothing, by no fault of the controller's."""


class Signals(_Value, frozen=True):
    """What the twin says, with how it will go on by itself if nothing new is heard (`twin.rules.session_signals`)."""

    has_relay: bool = True
    relay_on: bool | None = None
    """As last reported; None: never."""
    active_until_ms: int | None = 0
    """Until when the class is active: `FOREVER_MS` while power is. None: there is no meter, nobody can say."""
    occupied_until_ms: int = 0
    """In the same way; 0 where there is no sensor."""
    online_from_ms: int = FOREVER_MS
    boot: str = ""
    """Which start of the controller is heard."""
    online_until_ms: int = 0
    """The link is online in `[online_from_ms, online_until_ms)` if nothing more is heard."""

    def is_online(self, at_ms: int) -> bool:
        """Can the controller be commanded at a moment?"""
        return self.online_from_ms <= at_ms < self.online_until_ms

    @property
    def busy_until_ms(self) -> int:
        """Until when the instrument works, or somebody is there."""
        return FOREVER_MS if self.active_until_ms is None else max(self.active_until_ms, self.occupied_until_ms)


class Control(_Value, frozen=True):
    """All there is to know about the session of an instrument; time has been let pass up to `settled_ms`."""

    state: SessionState = Free()
    order: Order | None = None
    signals: Signals = Signals()
    settled_ms: int = 0
    ended_ms: int = 0
    """When the last session ended: by a controller's clock that is ahead this may be still to come."""


def command_id(sent_ms: int, *, on: bool) -> str:
    """The name of a command to the relay; no controller is sent two alike."""
    return f"{sent_ms}-{'on' if on else 'off'}"


class SessionRecorded(_Value, frozen=True):
    """A granted request: the session is on record, before anything is switched."""

    at_ms: int
    use: Use


class RelayCommanded(_Value, frozen=True):
    """To be sent to the controller, which ignores it from `expires_ms` on."""

    at_ms: int
    on: bool
    expires_ms: int

    @property
    def id(self) -> str:
        """What the controller will call it in its answer."""
        return command_id(self.at_ms, on=self.on)


class SessionOpened(_Value, frozen=True):
    """The bill begins."""

    at_ms: int
    session: str


class SessionVoided(_Value, frozen=True):
    """It never opened: nothing is billed."""

    at_ms: int
    session: str
    reason: VoidReason


class UserWarned(_Value, frozen=True):
    """The controller says so and the user is notified: the slot ends soon."""

    at_ms: int
    session: str
    slot_end_ms: int


class OverrunBegan(_Value, frozen=True):
    """The session goes on after slot and grace."""

    at_ms: int
    session: str
    reason: OverrunReason


class SessionClosed(_Value, frozen=True):
    """The bill ends at `at_ms`, even where that is known later."""

    at_ms: int
    session: str
    reason: CloseReason


class CooldownEnded(_Value, frozen=True):
    """The instrument is free in every respect."""

    at_ms: int
    session: str
    reason: CooldownEnd


class UnsafeToCut(_Value, frozen=True):
    """The instrument still works though cooldown ran out: the relay stays on, and people are told."""

    at_ms: int
    session: str


class CommandFailed(_Value, frozen=True):
    """The controller refused a command or did not follow it in time: people are told."""

    at_ms: int
    on: bool
    reason: Failure


class Ignored(_Value, frozen=True):
    """A step that changes nothing."""

    at_ms: int
    reason: Ignorance


Decision: TypeAlias = (
    SessionRecorded
    | RelayCommanded
    | SessionOpened
    | SessionVoided
    | UserWarned
    | OverrunBegan
    | SessionClosed
    | CooldownEnded
    | UnsafeToCut
    | CommandFailed
    | Ignored
)
"""What follows from a step, to be stored in order and carried out after that."""


class Step(_Value, frozen=True):
    """What a step has made of a session."""

    control: Control
    decisions: tuple[Decision, ...] = ()
