"""What can be set for the web."""

from typing import Annotated

import msgspec
from msgspec import Meta


class WebSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the web; every one has a default that fits a campus."""

    origins: frozenset[str] = frozenset()
    """Further origins (`https://host[:port]`) that pages may come from, where a proxy changes the host."""
    max_boards: Annotated[int, Meta(ge=1)] = 500
    """Boards watched at once; one more is refused."""
    frame_ms: Annotated[int, Meta(ge=1)] = 50
    """The shortest time between two frames to a board; it grows by itself under load."""
    quiet_ms: Annotated[int, Meta(ge=1)] = 10_000
    """After this long without news a board gets an empty frame, which tells it that the line is alive."""
    send_timeout_ms: Annotated[int, Meta(ge=1)] = 10_000
    """A board that takes a frame for longer is let go."""
    recheck_ms: Annotated[int, Meta(ge=1)] = 60_000
    """How often it is looked whether somebody who watches alerts is still signed in."""
    title_zh: str = "USERS 仪器实况"
    title_en: str = "USERS Live"
