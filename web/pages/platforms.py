"""The platforms as a tree, flattened for a list to choose from."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from twin.interface import Platform


class Branch(NamedTuple):
    """A platform and how deep it lies in the tree."""

    platform: Platform
    depth: int


def branches(platforms: Sequence[Platform], parent: str | None = None, depth: int = 0) -> Iterator[Branch]:
    """All platforms below one, each before its children."""
    for platform in platforms:
        if platform.parent == parent:
            yield Branch(platform, depth)
            yield from branches(platforms, platform.code, depth + 1)
