"""What the pages' forms send, and where a browser goes on to after each: no script is needed for either."""

from typing import Annotated, TypeAlias, TypeVar

from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body
from litestar.response import Redirect
from litestar.status_codes import HTTP_303_SEE_OTHER

_T = TypeVar("_T")

Form: TypeAlias = Annotated[_T, Body(media_type=RequestEncodingType.URL_ENCODED)]
"""The body of a request as a form of this type."""


def go_on(path: str, *cookies: Cookie) -> Redirect:
    """The page to show next, by GET; `path` is one of ours (see `local_path`)."""
    return Redirect(path, status_code=HTTP_303_SEE_OTHER, cookies=list(cookies))


def local_path(path: str) -> str:
    """A path on this very site; the board for anything that might lead elsewhere."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else "/"
