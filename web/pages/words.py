"""Words that both templates and scripts need, marked for translation where they stand."""

from collections.abc import Callable

from twin.state import Category


def marked(word: str) -> str:
    """A word that is to be translated; nothing more happens here."""
    return word


_ = marked

STATES: dict[Category, str] = {
    Category.USE: _("In use"),
    Category.IDLE: _("Idle session"),
    Category.OVERRUN: _("Overrun"),
    Category.UNAUTHORISED: _("Unauthorised"),
    Category.STANDBY: _("Standby"),
    Category.OFF: _("Off"),
    Category.COOLDOWN: _("Cooling down"),
    Category.MAINTENANCE: _("Maintenance"),
    Category.UNKNOWN: _("Unknown"),
}
"""Names of the states, in the order in which totals are shown."""

_SCRIPT = {
    "since": _("since {time}"),
    "heard": _("last heard {time}"),
    "neverHeard": _("never heard"),
    "days": _("{n} d"),
    "hours": _("{n} h"),
    "minutes": _("{n} min"),
    "justNow": _("just now"),
    "live": _("Live"),
    "connecting": _("Connecting"),
    "lost": _("Connection lost. What you see may be out of date."),
    "again": _("Trying again in {n} s."),
    "againNow": _("Trying again now."),
    "refused": _("Too many boards are open at the moment."),
    "shown": _("{n} of {total} shown"),
    "page": _("page {n} of {total}"),
    "noReading": _("no reading"),
    "mean": _("mean"),
    "highest": _("highest"),
    "noPower": _("There are no readings in this time."),
    "failed": _("This could not be loaded."),
    "databaseAway": _(
        "The database cannot be reached. Nothing can be unlocked; sessions can be ended, and power can be cut."
    ),
    "brokerAway": _(
        "The message broker cannot be reached. Nothing arrives from the controllers, and no command reaches them."
    ),
    "behind": _(
        "The service is catching up on messages, {n} s behind. Nothing can be unlocked until it has caught up."
    ),
    "online": _("online"),
    "stale": _("stale"),
    "offline": _("offline"),
    "never": _("never connected"),
    "on": _("on"),
    "off": _("off"),
    "standby": _("standby"),
    "active": _("active"),
    "unknown": _("unknown"),
    "occupied": _("occupied"),
    "vacant": _("vacant"),
    "open": _("open"),
    "closed": _("closed"),
    "notReported": _("not reported"),
    "until": _("until {time}"),
    "starting": _("starting"),
    "inSession": _("session since {time}"),
    "coolingUntil": _("cooling down, until {time} at most"),
    "bookedUntil": _("booked until {time}"),
    "alerts": _("alerts: {n}"),
}
LEVELS = {"university": _("University"), "college": _("College"), "department": _("Department")}


def script_words(translate: Callable[[str], str]) -> dict[str, object]:
    """Everything that scripts put on the screen, in one language."""
    words: dict[str, object] = {key: translate(word) for key, word in _SCRIPT.items()}
    return words | {"states": {state.value: translate(name) for state, name in STATES.items()}}
