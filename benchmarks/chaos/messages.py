"""Every message once: what was acknowledged is stored, what is stored was sent, and nothing twice."""

from collections.abc import Callable, Iterator

import asyncpg

from benchmarks.chaos.book import Acknowledged, Entry, Identity, Made

_READINGS = """
SELECT name, boot, array_agg(seq) AS seqs FROM reading JOIN controller ON controller.id = controller_id GROUP BY 1, 2
"""
_EVENTS = """
SELECT name, body ->> 'boot' AS boot, array_agg((body ->> 'seq')::bigint) AS seqs
FROM event JOIN controller ON controller.id = controller_id WHERE kind <> 'death' GROUP BY 1, 2
"""
_LISTED = 5


class Ledger:
    """What the controllers made and what was acknowledged, of all rounds so far."""

    def __init__(self) -> None:
        self.made: dict[Identity, Made] = {}
        self.acknowledged: dict[Identity, int] = {}
        """When, ms since the epoch."""
        self.waiting: dict[Identity, int] = {}
        """Made, and not acknowledged: when, ms since the epoch. A birth that was not sent at once never is."""
        self.forgotten: set[Identity] = set()
        """Acknowledged, and lost by a broker that crashed or lost its file."""

    def take(self, entry: Entry) -> None:
        """Note what a controller wrote."""
        match entry:
            case Made():
                self.made[entry.identity] = entry
                if entry.kind != "birth":
                    self.waiting[entry.identity] = entry.at_ms
            case Acknowledged():
                self.acknowledged.setdefault(entry.identity, entry.at_ms)
                self.waiting.pop(entry.identity, None)
            case _:
                pass

    def let_in(self) -> int:
        """How many cards were let in by controllers themselves."""
        cards = (each.message for each in self.made.values() if each.kind == "card")
        return sum(card.get("granted") is True and card["action"] == "in" for card in cards)

    def readings(self) -> int:
        """How many readings were acknowledged."""
        return sum(self.made[each].kind == "reading" for each in self.acknowledged)


async def stored_messages(connection: asyncpg.Connection) -> tuple[set[Identity], list[Identity]]:
    """What is in the log, and what is there more than once."""
    found: set[Identity] = set()
    twice: list[Identity] = []
    for query in (_READINGS, _EVENTS):
        for name, boot, seqs in await connection.fetch(query):
            for seq in seqs:
                identity = (name, boot, seq)
                if identity in found:
                    twice.append(identity)
                found.add(identity)
    return found, twice


def missing(ledger: Ledger, stored: set[Identity], is_excused: Callable[[int], bool]) -> list[Identity]:
    """Acknowledged and not stored. What the broker can have lost is set apart once it is not there."""
    gone = [each for each in ledger.acknowledged if each not in stored]
    ledger.forgotten = {each for each in gone if is_excused(ledger.acknowledged[each])}
    return [each for each in gone if each not in ledger.forgotten]


def judge_messages(ledger: Ledger, stored: set[Identity], twice: list[Identity], lost: list[Identity]) -> Iterator[str]:
    """What is wrong, in words."""
    invented = [each for each in stored if each not in ledger.made]
    for what, found in (
        ("acknowledged and not stored", lost),
        ("stored more than once", twice),
        ("stored and never sent", invented),
    ):
        if found:
            named = ", ".join(_named(ledger, each) for each in found[:_LISTED])
            yield f"{len(found)} messages {what}: {named}"


def _named(ledger: Ledger, identity: Identity) -> str:
    made = ledger.made.get(identity)
    kind = "" if made is None else f" ({made.kind} of {made.at_ms}, acknowledged {ledger.acknowledged.get(identity)})"
    return f"{identity[0]} {identity[1]} {identity[2]}{kind}"
