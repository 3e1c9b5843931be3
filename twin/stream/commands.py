"""Commands to controllers as the wire has them (docs/wire.md)."""

import msgspec

from twin.rules.outcome import Command


class WireCommand(msgspec.Struct, frozen=True, omit_defaults=True):
    """`users/v1/{c}/command`; what a kind of command does not need is left out."""

    id: str
    ts: int
    expires: int
    do: str
    reason: str
    relay: bool | None = None
    text: str | None = None


def wire_command(command: Command) -> WireCommand:
    """A command in the form of the wire."""
    return WireCommand(
        id=command.id,
        ts=command.at_ms,
        expires=command.expires_ms,
        do=command.do.value,
        reason=command.reason,
        relay=command.relay,
        text=command.text,
    )
