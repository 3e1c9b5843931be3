"""One envelope for every list."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.params import QueryParameter

_Found = TypeVar("_Found")
_Item = TypeVar("_Item")

MAX_LIMIT = 5000
DEFAULT_LIMIT = 1000


class Part(msgspec.Struct, frozen=True):
    """Which part of a list is asked for."""

    limit: int
    offset: int


def part_of(
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items at most.")] = DEFAULT_LIMIT,
    offset: Annotated[int, QueryParameter(ge=0, le=2**31, description="How many items to pass over.")] = 0,
) -> Part:
    """The part that a request's parameters ask for."""
    return Part(limit, offset)


class Links(msgspec.Struct, frozen=True):
    """Where the neighbouring pages of a list are; None where there is none."""

    previous: str | None
    next: str | None


class Page(msgspec.Struct, Generic[_Item], frozen=True):
    """A part of a list of `total` items, from `offset` on."""

    items: list[_Item]
    total: int
    limit: int
    offset: int
    links: Links


def page_of(
    request: Request[Any, Any, Any],
    found: Sequence[_Found],
    item: Callable[[_Found], _Item],
    part: Part,
) -> Page[_Item]:
    """The page that was asked for; only what stands on it is worked out by `item`."""
    items = [item(one) for one in found[part.offset : part.offset + part.limit]]
    return page_with(request, items, len(found), part)


def page_with(request: Request[Any, Any, Any], items: list[_Item], total: int, part: Part) -> Page[_Item]:
    """The page that was asked for, of a list that has been cut to it already."""
    limit, offset = part.limit, part.offset

    def link(to: int) -> str:
        kept = [(key, value) for key, value in request.query_params.multi_items() if key not in {"limit", "offset"}]
        return f"{request.url.path}?{urlencode([*kept, ('limit', limit), ('offset', to)])}"

    links = Links(
        previous=link(max(0, offset - limit)) if offset > 0 else None,
        next=link(offset + limit) if offset + limit < total else None,
    )
    return Page(items, total, limit, offset, links)
