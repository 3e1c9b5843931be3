"""Asking for an instrument and ending its session, with the rights that it takes."""

from twin.interface import AccessView, Person, Service, SessionView, Unlocked, UnlockWish
from web import rights
from web.catalogue import twin_of
from web.problems import Code, Problem
from web.rights import Deed
from web.sessions import veiled


def access_of(service: Service, person: Person, code: str, user: str, at_ms: int) -> AccessView:
    """What would be answered to `user` at a moment.

    Raises:
        Problem: UNKNOWN_INSTRUMENT, NO_CONTROLLER, FORBIDDEN, UNKNOWN_PERSON.

    """
    twin_of(service, code)
    if user != person.username:
        rights.demand(person, Deed.ASK_FOR_OTHERS, code)
    answer = service.access(code, user, at_ms, UnlockWish())
    if answer is None:
        raise Problem(Code.UNKNOWN_PERSON, f"Nobody with the name {user!r} is known to the rules.")
    return answer


async def unlock(service: Service, person: Person, code: str, wish: UnlockWish) -> Unlocked:
    """Ask for an instrument, for oneself.

    Raises:
        Problem: UNKNOWN_INSTRUMENT, NO_CONTROLLER, FORBIDDEN.
        NotRecordedError: it was not granted.

    """
    twin_of(service, code)
    if wish.maintenance:
        rights.demand(person, Deed.MAINTAIN, code)
    return await service.unlock(person, code, wish)


async def lock(service: Service, person: Person, code: str) -> SessionView:
    """End the session of an instrument.

    Raises:
        Problem: UNKNOWN_INSTRUMENT, NO_CONTROLLER, NO_SESSION, FORBIDDEN.
        NotRecordedError: it has not ended.

    """
    twin_of(service, code)
    before = service.running(code)
    is_own = before is not None and before.user == person.username
    staff = not is_own and rights.may(person, Deed.END_FOR_OTHERS, code)
    ended = await service.lock(person, code, staff=staff, emergency=False)
    if ended is not None:
        return veiled(person, ended)
    after = service.running(code)
    if after is None or before is None or after.id != before.id:
        raise Problem(Code.NO_SESSION, f"Nobody has a session at {code}.")
    raise Problem(Code.FORBIDDEN, f"You may not {Deed.END_FOR_OTHERS.value} at {code}.")


async def stop(service: Service, person: Person, code: str) -> SessionView | None:
    """Cut the power of an instrument at once, in an emergency; gives the session that this ended, if any.

    Raises:
        Problem: UNKNOWN_INSTRUMENT, NO_CONTROLLER, FORBIDDEN.
        NotRecordedError: nothing was cut.

    """
    twin_of(service, code)
    rights.demand(person, Deed.STOP, code)
    ended = await service.lock(person, code, staff=False, emergency=True)
    return None if ended is None else veiled(person, ended)
