"""What controllers and instruments are called in the database."""

from collections.abc import Mapping

import msgspec


class Ids(msgspec.Struct, frozen=True, gc=False):
    """What a controller and its instrument are called in the database."""

    controller_id: int
    instrument_id: int


class Names(msgspec.Struct, frozen=True):
    """From the names that the fleet knows to the numbers of the database."""

    controllers: Mapping[str, Ids]
    instruments: Mapping[str, str]
    """Instrument to controller."""

    def controller(self, name: str) -> Ids:
        """Of a controller. Raises KeyError."""
        return self.controllers[name]

    def instrument(self, code: str) -> Ids:
        """Of an instrument that has a controller. Raises KeyError."""
        return self.controllers[self.instruments[code]]
