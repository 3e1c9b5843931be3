"""Errors as problem documents (RFC 9457): one exception with a stable code, mapped to an answer in one place."""

from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from twin.interface import ConflictError, NotRecordedError, SuspendedError

PROBLEM_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)


class _Kind(NamedTuple):
    status: HTTPStatus
    title: str
    advice: str


class Code(_Kind, Enum):
    """Every problem the web can answer with: its status, what it is, and what to do about it."""

    INVALID_REQUEST = _Kind(HTTPStatus.BAD_REQUEST, "The request cannot be read", "Send what the schema describes.")
    INVALID_PARAMETER = _Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "A value is not acceptable", "Correct what `errors` names."
    )
    NOT_SIGNED_IN = _Kind(HTTPStatus.UNAUTHORIZED, "Nobody is signed in", "Sign in and send the token or the cookie.")
    WRONG_CREDENTIALS = _Kind(HTTPStatus.UNAUTHORIZED, "User name or password is wrong", "Check both and try again.")
    FORBIDDEN = _Kind(HTTPStatus.FORBIDDEN, "This is not allowed", "Ask a manager of the platform.")
    FOREIGN_ORIGIN = _Kind(
        HTTPStatus.FORBIDDEN,
        "The request comes from another site",
        "Use the service's own pages, or a bearer token, or name the origin in the settings.",
    )
    UNKNOWN_INSTRUMENT = _Kind(
        HTTPStatus.NOT_FOUND, "There is no such instrument", "Look its code up in /api/v1/instruments."
    )
    NO_CONTROLLER = _Kind(
        HTTPStatus.NOT_FOUND, "This instrument has no controller, so nothing is measured", "Choose a connected one."
    )
    UNKNOWN_PLATFORM = _Kind(
        HTTPStatus.NOT_FOUND, "There is no such platform", "Look its code up in /api/v1/platforms."
    )
    UNKNOWN_PERSON = _Kind(HTTPStatus.NOT_FOUND, "There is no such person", "Check the user name.")
    UNKNOWN_SESSION = _Kind(HTTPStatus.NOT_FOUND, "There is no such session", "Look its id up in /api/v1/sessions.")
    UNKNOWN_ALERT = _Kind(HTTPStatus.NOT_FOUND, "No such alert fires", "Look its id up in /api/v1/alerts.")
    UNKNOWN_BOOKING = _Kind(HTTPStatus.NOT_FOUND, "There is no such booking", "Look its id up in /api/v1/bookings.")
    NOT_FOUND = _Kind(HTTPStatus.NOT_FOUND, "There is nothing here", "See /schema/openapi.json for what there is.")
    METHOD_NOT_ALLOWED = _Kind(
        HTTPStatus.METHOD_NOT_ALLOWED, "This cannot be done here", "Use a method that `Allow` names."
    )
    CONFLICT = _Kind(HTTPStatus.CONFLICT, "This cannot be booked", "Choose one of the stretches in `free`.")
    BOOKINGS_SUSPENDED = _Kind(
        HTTPStatus.FORBIDDEN, "Nothing can be booked for some time", "Wait, or appeal to a manager of the platform."
    )
    NO_SESSION = _Kind(HTTPStatus.CONFLICT, "There is no session to end", "Look at the twin for what is going on.")
    TOO_LARGE = _Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large", "Send less at once.")
    TOO_MANY_ATTEMPTS = _Kind(
        HTTPStatus.TOO_MANY_REQUESTS, "Too many attempts to sign in", "Wait as long as `Retry-After` says."
    )
    NOT_RECORDED = _Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "It could not be recorded",
        "Read what was done all the same; try again in a moment.",
    )
    UNAVAILABLE = _Kind(HTTPStatus.SERVICE_UNAVAILABLE, "The service cannot answer now", "Try again in a moment.")
    INTERNAL_ERROR = _Kind(
        HTTPStatus.INTERNAL_SERVER_ERROR, "The service has failed", "Try again; if it stays, tell the operator."
    )


class Stretch(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """A stretch of time that could be booked instead, RFC 3339."""

    start: str
    end: str


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """Raised anywhere in the web to answer with a problem document."""

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Any] = (),
        free: Sequence[Stretch] = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)
        self.free = tuple(free)


class ProblemDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A problem as it is sent. `code` is stable: programs may rely on it; the texts are for people."""

    title: str
    status: int
    code: str
    detail: str
    advice: str
    instance: str
    errors: tuple[Any, ...] = ()
    free: tuple[Stretch, ...] = ()
    type: str = "about:blank"


_BY_ERROR = {NotRecordedError: Code.NOT_RECORDED, SuspendedError: Code.BOOKINGS_SUSPENDED}


def problem_of(error: Exception) -> Problem:
    """The problem that any exception comes down to."""
    match error:
        case Problem():
            return error
        case NotRecordedError() | SuspendedError():
            return Problem(_BY_ERROR[type(error)], str(error) or "Nothing has changed.")
        case ConflictError():
            return Problem(Code.CONFLICT, str(error), free=[Stretch(*each) for each in error.free])
        case ValidationException():
            return Problem(Code.INVALID_PARAMETER, error.detail, errors=_as_spelt(error.extra))
        case HTTPException():
            return Problem(_BY_STATUS.get(error.status_code, Code.INTERNAL_ERROR), error.detail, headers=error.headers)
        case _:
            return Problem(Code.INTERNAL_ERROR, "The cause stands in the service's log.")


def document_of(problem: Problem, path: str) -> ProblemDocument:
    """The document that tells of a problem met at a path."""
    status, title, advice = problem.code
    return ProblemDocument(
        title, int(status), problem.code.name, problem.detail, advice, path, problem.errors, problem.free
    )


def heed(request: Request[Any, Any, Any], error: Exception) -> Problem:
    """The problem that an exception comes down to, with a log line where the fault is ours."""
    problem = problem_of(error)
    if problem.code is Code.INTERNAL_ERROR:
        _log.error("request_failed", path=request.url.path, method=request.method, exc_info=error)
    return problem


def answer(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
    """A problem as a document for programs."""
    return Response(
        content=document_of(problem, request.url.path),
        status_code=problem.code.status,
        media_type=PROBLEM_TYPE,
        headers=problem.headers,
    )


_SPELT = {"category": "state", "start": "from", "end": "to", "form": "format", "standing": "state"}
"""Parameters that cannot be called in Python what they are called in a URL."""


def _as_spelt(errors: object) -> list[Any]:
    if not isinstance(errors, list):
        return []
    return [error | {"key": _SPELT.get(error.get("key"), error.get("key"))} for error in errors]


_BY_STATUS: dict[int, Code] = {
    400: Code.INVALID_REQUEST,
    401: Code.NOT_SIGNED_IN,
    403: Code.FORBIDDEN,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    413: Code.TOO_LARGE,
    429: Code.TOO_MANY_ATTEMPTS,
    503: Code.UNAVAILABLE,
}
