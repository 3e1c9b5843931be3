"""The referee: what the controllers wrote and people were told, and what is in the books, held against each other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from benchmarks.chaos.bills import story_of
from benchmarks.chaos.book import Entry, Identity, Made, Switched
from benchmarks.chaos.books import Books
from benchmarks.chaos.messages import Ledger
from benchmarks.chaos.people import Attempt, Deed
from benchmarks.chaos.relays import Relay, judge_relays
from benchmarks.chaos.sessions import Evidence, Visit, judge_sessions
from benchmarks.chaos.site import HOLD_MS, STALE_MS, Site


class Referee:
    """Knows what really happened."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.ledger = Ledger()
        self._moves: defaultdict[str, list[Switched]] = defaultdict(list)

    def take(self, entry: Entry) -> None:
        """Note what a controller wrote."""
        self.ledger.take(entry)
        if isinstance(entry, Switched):
            self._moves[self._site.instruments[entry.controller]].append(entry)

    def relays(self) -> dict[str, Relay]:
        """By instrument."""
        return {code: Relay(self._moves[code]) for code in self._site.instruments.values()}

    def judge(
        self,
        books: Books,
        attempts: Sequence[Attempt],
        stored: set[Identity],
        outages: Sequence[tuple[int, int]],
        until_ms: int,
    ) -> Iterator[str]:
        """What is wrong with sessions, charges, relays and the ledger, in words."""
        told: defaultdict[str, list[Made]] = defaultdict(list)
        for identity in stored:
            if (made := self.ledger.made.get(identity)) is not None:
                told[self._site.instruments[made.controller]].append(made)
        evidence = Evidence(
            site=self._site,
            attempts=attempts,
            relays=self.relays(),
            stories={
                code: story_of(told[code], hold_ms=HOLD_MS, stale_ms=STALE_MS)
                for code in self._site.instruments.values()
            },
            reported_ms={
                code: frozenset(each.message["ts"] for each in told[code] if each.message.get("relay"))
                for code in self._site.instruments.values()
            },
        )
        evidence = replace(
            evidence, let_in=frozenset(self._visits(told, "in")), let_out=frozenset(self._visits(told, "out"))
        )
        yield from judge_sessions(books, evidence)
        endings: defaultdict[str, list[int]] = defaultdict(list)
        for attempt in attempts:
            if attempt.deed is Deed.LOCK:
                endings[attempt.instrument].append(attempt.sent_ms)
        for made in self.ledger.made.values():
            if made.kind == "card":
                endings[self._site.instruments[made.controller]].append(made.at_ms)
        yield from judge_relays(books, evidence.relays, self._site, outages=outages, endings=endings, until_ms=until_ms)

    def _visits(self, told: Mapping[str, Iterable[Made]], action: str) -> Iterator[Visit]:
        """Whom controllers let in or out by themselves, by those cards that are stored."""
        holders = {each.card: each.username for each in self._site.people}
        for code, messages in told.items():
            for each in messages:
                if each.kind == "card" and each.message.get("granted") and each.message["action"] == action:
                    yield Visit(code, holders[each.message["card"]], each.message["ts"])
