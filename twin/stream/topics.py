"""Topic names of the wire contract (docs/wire.md)."""

import re
from enum import StrEnum
from functools import lru_cache

import msgspec

CONTROLLER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
RESERVED = "twin"
"""`{prefix}/twin/...` is where twins are published: no controller may have this name."""


class Upward(StrEnum):
    """What controllers publish."""

    BIRTH = "birth"
    DEATH = "death"
    READING = "reading"
    CARD = "card"
    ACK = "ack"


class Topics(msgspec.Struct, frozen=True):
    """All topics under one prefix."""

    prefix: str = "users/v1"

    def subscriptions(self) -> tuple[str, ...]:
        """The filters that together match everything that controllers say, and the service's own marks."""
        return (*(f"{self.prefix}/+/{kind}" for kind in Upward), self.mark())

    def mark(self) -> str:
        """Where the service tells itself that all that came before has been handed out."""
        return f"{self.prefix}/service/mark"

    def source(self, topic: str) -> tuple[str, Upward] | None:
        """Controller and kind of an upward topic; None for any other."""
        return _source(self.prefix, topic)

    def command(self, controller: str) -> str:
        """Where a controller listens for commands."""
        return f"{self.prefix}/{controller}/command"

    def grants(self, controller: str) -> str:
        """Where it stands, retained, what a controller may allow while it is cut off."""
        return f"{self.prefix}/{controller}/grants"

    def public_twin(self, instrument: str) -> str:
        """Where the public state of a twin stands, retained."""
        return f"{self.prefix}/{RESERVED}/{instrument}"


_KINDS = {kind.value: kind for kind in Upward}


@lru_cache(maxsize=32_768)  # the same few thousand topics come again and again
def _source(prefix: str, topic: str) -> tuple[str, Upward] | None:
    head, _, rest = topic.partition(prefix + "/")
    controller, _, kind = rest.partition("/")
    if head or kind not in _KINDS or controller == RESERVED or not is_controller_id(controller):
        return None
    return controller, _KINDS[kind]


def is_controller_id(name: str) -> bool:
    """Whether `name` may be a controller's id."""
    return name != RESERVED and CONTROLLER_ID.fullmatch(name) is not None
