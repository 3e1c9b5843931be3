"""Plans: which bookings the people of a controller have, from a JSON file that the scenario names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from controllers_sim.errors import SimulatorError
from controllers_sim.manners import Manner

ADVICE = 'A plan is {"controller": [{"card": "04a1b2c3", "from": ms, "to": ms, "user": "id"}, ...], ...}.'

CardUid = Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{2,40}$")]
"""What a reader reads off a card, in hex."""


class Booking(msgspec.Struct, frozen=True):
    """Somebody's slot at an instrument: from `from_ms` to `to_ms`, ms since the epoch.

    What they make of it is up to chance, unless their `manner` is said.
    """

    card: CardUid
    from_ms: Annotated[int, msgspec.Meta(ge=0)] = msgspec.field(name="from")
    to_ms: int = msgspec.field(name="to")
    user: str
    manner: Manner | None = None

    def __post_init__(self) -> None:
        if self.to_ms <= self.from_ms:
            raise ValueError(f"a booking of {self.user} ends before it begins")


Plan = Mapping[str, tuple[Booking, ...]]
"""The bookings by controller, in any order. A controller with none of its own is still one with a plan."""

_decoder = msgspec.json.Decoder(dict[str, tuple[Booking, ...]])


def read_plan(path: Path) -> Plan:
    """Read a plan.

    Raises:
        SimulatorError: it cannot be read, or something in it is missing or wrong; it names the file and the place.

    """
    try:
        return _decoder.decode(path.read_bytes())
    except OSError as error:
        raise SimulatorError(f"{path}: cannot read the plan: {error.strerror}.", ADVICE) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # a ValidationError is one
        raise SimulatorError(f"{path}: {error}.", ADVICE) from None
