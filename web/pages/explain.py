"""A refusal in words: why not, and what would make it allowed."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from twin.interface import AccessView, CheckView
from twin.parties import DowntimeCause, Level
from twin.permission import AccessCode, Standing, Unpayable
from twin.state import LinkState
from web.pages.terms import CAUSES, LEVELS_HELD, LINKS, REFUSALS, UNPAYABLE
from web.pages.voice import Voice
from web.pages.words import marked as _

Data: TypeAlias = Mapping[str, Any]


class Explained(NamedTuple):
    """A check that failed, in words."""

    code: str
    reason: str
    remedies: tuple[str, ...]
    """Sentences; what would make it allowed."""


def refusals(access: AccessView, voice: Voice) -> list[Explained]:
    """Why somebody is refused, the reason first; empty where they are not."""
    return [explained(check, voice) for check in access.checks if check.standing == Standing.FAILED]


def explained(check: CheckView, voice: Voice) -> Explained:
    """A check that did not pass, in words."""
    if check.code is None or check.remedy is None:
        raise ValueError(f"check {check.number} has passed: there is nothing to explain")
    code = AccessCode(check.code)
    sentences = _REMEDIES[str(check.remedy["type"])](check.remedy, voice)
    return Explained(code.value, voice.translate(REFUSALS[code]), tuple(sentences))


def _back_in_service(remedy: Data, voice: Voice) -> Iterator[str]:
    cause = DowntimeCause(remedy["cause"])
    yield voice.translate(CAUSES[cause])
    if remedy["at"]:
        yield voice.say(_("Expected back at {time}."), time=voice.at(remedy["at"]))
    elif cause is not DowntimeCause.RETIRED:
        yield voice.translate(_("Nobody knows yet when it will be back."))


def _link_online(remedy: Data, voice: Voice) -> Iterator[str]:
    yield voice.say(_("The controller is {link}."), link=voice.translate(LINKS[LinkState(remedy["link"])]))
    yield voice.translate(_("Hold your card to the reader at the instrument, or wait until the controller is back."))


def _account_renewed(remedy: Data, voice: Voice) -> Iterator[str]:
    if remedy["disabled"]:
        yield voice.translate(_("The account is disabled: ask the administration to enable it."))
    if remedy["expired"]:
        yield voice.say(_("The account expired at {time}: ask for an extension."), time=voice.at(remedy["expired"]))


def _suspension_over(remedy: Data, voice: Voice) -> Iterator[str]:
    if remedy["credit_missing"]:
        yield voice.say(_("Credit points missing: {n}."), n=remedy["credit_missing"])
    if remedy["until"]:
        yield voice.say(_("Banned until {time}."), time=voice.at(remedy["until"]))
    elif remedy["banned"]:
        yield voice.translate(_("Banned until further notice: ask the manager."))


def _project_that_pays(remedy: Data, voice: Voice) -> Iterator[str]:
    for each in remedy["refused"]:
        why = voice.translate(UNPAYABLE[Unpayable(each["why"])])
        yield voice.say(_("{project}: {why}."), project=each["project"], why=why)
    if remedy["instead"]:
        yield voice.say(_("Could pay instead: {projects}."), projects=", ".join(remedy["instead"]))
    if remedy["from"]:
        yield voice.say(_("A project becomes valid at {time}."), time=voice.at(remedy["from"]))
    if not remedy["instead"] and not remedy["from"]:
        yield voice.translate(_("Ask the head of a project to let you charge it."))


def _qualification_held(remedy: Data, voice: Voice) -> Iterator[str]:
    level = voice.translate(LEVELS_HELD[Level(remedy["level"])])
    yield voice.say(_("Needs the level “{level}” for {instrument}."), level=level, instrument=remedy["instrument"])
    if remedy["expired"]:
        yield voice.say(_("The qualification expired at {time}."), time=voice.at(remedy["expired"]))
    if remedy["from"]:
        yield voice.say(_("The qualification is valid from {time} on."), time=voice.at(remedy["from"]))


def _funds_added(remedy: Data, voice: Voice) -> Iterator[str]:
    if remedy["project"]:
        yield voice.say(_("Project {project}."), project=remedy["project"])
    yield voice.say(
        _("{missing} CNY are missing: {needed} needed, {available} available."),
        missing=remedy["missing"],
        needed=remedy["needed"],
        available=remedy["available"],
    )


def _opened(remedy: Data, voice: Voice) -> Iterator[str]:
    if remedy["at"]:
        yield voice.say(_("Opens at {time}."), time=voice.at(remedy["at"]))
    else:
        yield voice.translate(_("There are no opening hours in the near future."))


def _session_ended(remedy: Data, voice: Voice) -> Iterator[str]:
    if remedy["due"]:
        yield voice.say(_("Due to end at {time}."), time=voice.at(remedy["due"]))
    else:
        yield voice.translate(_("Nobody knows when it will end."))


def _slot_held(remedy: Data, voice: Voice) -> Iterator[str]:
    if remedy["over"]:
        yield voice.say(_("Your last booking today ended at {time}."), time=voice.at(remedy["over"]))
    if remedy["opens"]:
        yield voice.say(_("Your next booking lets you in at {time}."), time=voice.at(remedy["opens"]))
    start = voice.at(remedy["free_from"])
    if remedy["free_until"]:
        free = _("Free from {start} to {end}.")
        yield voice.say(free, start=start, end=voice.at(remedy["free_until"]))
    else:
        yield voice.say(_("Free from {start} on."), start=start)
    yield voice.translate(_("No booking is needed then.") if remedy["walk_in"] else _("Book it first."))


_REMEDIES: Final[dict[str, Callable[[Data, Voice], Iterator[str]]]] = {
    "back_in_service": _back_in_service,
    "link_online": _link_online,
    "account_renewed": _account_renewed,
    "suspension_over": _suspension_over,
    "project_that_pays": _project_that_pays,
    "qualification_held": _qualification_held,
    "funds_added": _funds_added,
    "opened": _opened,
    "session_ended": _session_ended,
    "slot_held": _slot_held,
}
