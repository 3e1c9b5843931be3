"""The service: the only place where all parts of the twin are wired together."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from typing import Literal
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import structlog
from tortoise import Tortoise

from twin import interface
from twin.bookings import Bookings
from twin.clock import Clock, system_clock
from twin.directory import Fact
from twin.events import Card
from twin.feed import Feed
from twin.fleet import Fleet
from twin.granting import Granting
from twin.metrics import Metrics
from twin.people import People
from twin.present import Present
from twin.recall import recall, uncollected
from twin.reception import Reception
from twin.recorder import Recorder
from twin.registration import make_grant_keys
from twin.registry import Registry, load_registry
from twin.requests import BrokerSeen, Learnt, Unsent
from twin.rules.outcome import Command, Consequences
from twin.settings import Settings, SettingsError
from twin.station import Station
from twin.store import Names, Store
from twin.store.commit import UNAVAILABLE
from twin.store.connections import open_pool
from twin.store.history import History
from twin.store.lookup import Lookup
from twin.store.migrate import migrate, tortoise_config
from twin.store.restore import read_accounts, read_commands, read_silences, read_site_state
from twin.stream.backlog import Backlog
from twin.stream.broker import parse_broker
from twin.stream.inbox import Inbox
from twin.stream.native import decode
from twin.stream.outbox import Outbox
from twin.stream.packets import Delivery
from twin.stream.reader import Reader
from twin.stream.topics import Topics, Upward
from twin.stream.writers import CommandWriter, RetainedWriter, StateWriter
from twin.views import TwinView

log = structlog.get_logger(__name__)

LATE_S = 10.0
"""A service that is further behind than this says so."""
PROBE_S = 2.0
"""How long a health check waits for the database."""


class TwinService:
    """A running service. See `twin.interface.Service` for what each question means."""

    finished: asyncio.Task[None]
    """Ends only when the service is stopped, or with what it cannot go on from."""
    subscribed: asyncio.Event
    """Set once the broker knows the service: from then on it keeps what is published while the service is away."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, registry: Registry, clock: Clock) -> None:
        assert settings.database_url is not None  # noqa: S101 - open_service has seen to it
        assert settings.mqtt_url is not None  # noqa: S101
        self.timezone = ZoneInfo(settings.timezone)
        self.now_ms = clock
        self._registry = registry
        self._metrics = Metrics()
        self._fleet = Fleet()
        self._feed = Feed(registry, self._fleet.directory, clock)
        self._pool = pool
        self._history = History(pool, self.timezone)
        self._people = People()
        self._store = Store(settings.database_url)
        self._inbox = Inbox()
        self._broker_up = False
        self.subscribed = asyncio.Event()
        topics, broker = Topics(settings.topic_prefix), parse_broker(settings.mqtt_url)
        site = settings.topic_prefix.replace("/", "-")
        self._topics = topics
        self._backlog = backlog = Backlog()
        self._reader = Reader(
            broker, f"twin-reader-{site}", topics, on_link=self._note_broker, backlog=backlog, clock=clock
        )
        self._outbox = Outbox(clock, self._note_unsent)
        self._states = StateWriter(broker, f"twin-states-{site}", self._public)
        self._commands = CommandWriter(broker, f"twin-commands-{site}", topics, self._outbox)
        self._recorder = Recorder(
            self._fleet,
            self._store,
            self._inbox,
            Present(self._inbox, backlog, clock),
            topics=topics,
            names=Names({name: each.ids for name, each in registry.connected.items()}, registry.controllers),
            acknowledge=self._reader.acknowledge,
            publish=self._show,
            outbox=self._outbox,
            send=self._commands.nudge,
            metrics=self._metrics,
            backlog=backlog,
            mark=self._reader.mark,
        )
        self._retained = RetainedWriter(broker, f"twin-grants-{site}")
        self._granting = Granting(self._fleet, self._recorder, registry.connected, self._grant, clock)
        self._alert_listeners: list[Callable[[], None]] = []
        self._bookings = Bookings(self.timezone)
        self._lookup = Lookup(pool)
        self._reception = Reception(
            self._fleet,
            self._feed,
            self._recorder,
            cut=self._cut,
            lookup=self._lookup,
            bookings=self._bookings,
            clock=clock,
        )

    async def start(self, pool: asyncpg.Pool) -> None:
        """Take the writer's place, put the fleet where it was, and only then listen."""
        number = await self._store.open()
        await self._restore(pool)
        self._recorder.begin(number, self._fleet.told_until_ms() or self.now_ms())
        self._backlog.begin()  # before the broker has been asked, nobody knows what has come since then
        self._show({controller: self._fleet.station(controller) for controller in self._fleet}, ())
        self.finished = asyncio.create_task(self._run(), name="service")

    async def _restore(self, pool: asyncpg.Pool) -> None:
        """Stations, accounts, and what the rules were told; what has changed since is told to them first of all."""
        checkpoints, changed = await recall(self._fleet, pool, self.timezone)
        await read_accounts(pool, self._fleet.accounts)
        self._fleet.silence(await read_silences(pool, self.now_ms()))
        self._fleet.restore_site(await read_site_state(pool))
        self._outbox.put(await read_commands(pool, self.now_ms()))
        for each in changed:
            self._recorder.ask(partial(_learnt, each), asked_ms=0)
        log.info("service.restored", twins=len(self._fleet), checkpoints=checkpoints, facts=len(changed))

    async def stop(self) -> None:
        """End in order: what is not acknowledged stays with the broker. Raises what ended the service, if anything."""
        self.finished.cancel()
        await asyncio.wait([self.finished])
        await self._store.close()
        if not self.finished.cancelled():
            self.finished.result()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(), name="reader")
                group.create_task(self._recorder.run(), name="recorder")
                for writer in (self._states, self._commands, self._retained):
                    group.create_task(writer.run(), name=type(writer).__name__)
                group.create_task(self._granting.run(), name="granting")
        except ExceptionGroup as failures:
            raise _first(failures) from failures

    async def _read(self) -> None:
        async for deliveries in self._reader.batches():
            self._inbox.put(deliveries)
            if self._recorder.failing_since_ms is not None:
                self._see_cards(deliveries)

    def _see_cards(self, deliveries: Sequence[Delivery]) -> None:
        """Cards wait to be recorded like everything else; who ends a session need not wait for power to go off."""
        for delivery in deliveries:
            controller, kind = self._topics.source(delivery.topic) or (None, None)
            connected = self._registry.connected.get(controller or "")
            if connected is not None and kind is Upward.CARD:
                for message in decode(kind, delivery.payload)[0]:
                    if isinstance(message, Card):
                        self._reception.see_card(connected.instrument, message)

    def _note_broker(self, up: bool) -> None:  # noqa: FBT001
        if self._broker_up and not up:
            self._metrics.broker_losses.inc()
        if self._broker_up is not up:
            self._recorder.ask(lambda number, at_ms: BrokerSeen(number=number, at_ms=at_ms, up=up))
        self._broker_up = up
        if up:
            self.subscribed.set()
        self._metrics.broker_up.set(up)

    def _note_unsent(self, command: Command) -> None:
        connected = self._registry.connected.get(command.controller)
        if connected is not None and command.relay is not None:
            self._recorder.ask(partial(_unsent, connected.instrument, command.id))

    def _show(self, stations: Mapping[str, Station], follows: Sequence[Consequences]) -> None:
        self._states.mark(self._feed.publish(stations))
        if any(each.alerts for each in follows):
            for listener in list(self._alert_listeners):
                listener()

    def _cut(self, command: Command) -> None:
        """Power goes off though it cannot be recorded now."""
        self._outbox.put((command,))
        self._commands.nudge()

    def _grant(self, controller: str, payload: bytes) -> None:
        self._retained.put(self._topics.grants(controller), payload)

    def _public(self, code: str) -> tuple[str, bytes]:
        return self._topics.public_twin(code), msgspec.json.encode(self._feed.view(code))

    def platforms(self) -> Sequence[interface.Platform]:
        return self._registry.platforms

    def instruments(self) -> Sequence[interface.Instrument]:
        return list(self._registry.instruments.values())

    def instrument(self, code: str) -> interface.Instrument | None:
        return self._registry.instruments.get(code)

    def views(self) -> Sequence[TwinView]:
        return self._feed.views()

    def view(self, code: str) -> TwinView | None:
        return self._feed.view(code)

    def rev(self) -> int:
        return self._feed.rev

    def listen(self, listener: interface.Listener) -> Callable[[], None]:
        return self._feed.listen(listener)

    async def ledger(self, code: str, day: date) -> interface.LedgerDay:
        ids = self._registry.connected[self._registry.controllers[code]].ids
        return await self._history.ledger(code, ids.instrument_id, day, self.now_ms())

    async def power(self, code: str, start_ms: int, end_ms: int, points: int) -> interface.PowerSeries:
        ids = self._registry.connected[self._registry.controllers[code]].ids
        return await self._history.power(ids.controller_id, start_ms, end_ms, points)

    async def recent_power(self, minutes: int) -> dict[str, tuple[float | None, ...]]:
        by_id = await self._history.recent_power(minutes, self.now_ms())
        connected = self._registry.connected.values()
        return {each.instrument: by_id[each.ids.controller_id] for each in connected if each.ids.controller_id in by_id}

    async def health(self) -> interface.Health:
        status, error = await self._database()
        broker = "ok" if self._broker_up else "down"
        behind_s = self._recorder.present.behind_s()
        late = behind_s > LATE_S
        return msgspec.convert(
            {
                "status": "down" if status == "down" else "ok" if status == broker == "ok" and not late else "degraded",
                "components": {
                    "database": {"status": status, "error": error},
                    "broker": {"status": broker},
                    "inbox": {"waiting": len(self._inbox), "lag_s": self._lag_s(), "behind_s": behind_s},
                    "outbox": {"waiting": len(self._outbox)},
                    "twins": {"count": len(self._fleet)},
                },
            },
            interface.Health,
        )

    async def _database(self) -> tuple[Literal["ok", "slow", "down"], str | None]:
        """How the database is, asked also while there is nothing to store."""
        if self._recorder.failing_since_ms is not None:
            return "down", self._recorder.failure
        try:
            async with asyncio.timeout(PROBE_S):
                await self._pool.fetchval("SELECT 1")
        except TimeoutError:  # it may be busy with other questions
            return "slow", f"no answer within {PROBE_S} s"
        except UNAVAILABLE as error:
            return "down", f"{type(error).__name__}: {error}"
        return "ok", None

    def _lag_s(self) -> float:
        oldest_ms = self._inbox.oldest_ms()
        return 0.0 if oldest_ms is None else max(0.0, (self.now_ms() - oldest_ms) / 1000)

    def metrics(self) -> bytes:
        self._metrics.waiting.set(len(self._inbox))
        self._metrics.lag.set(self._lag_s())
        self._metrics.behind.set(self._recorder.present.behind_s())
        self._metrics.commands.set(len(self._outbox))
        self._metrics.expired.set(self._outbox.expired)
        self._metrics.dropped.set(self._inbox.dropped)
        self._metrics.set_links(self._feed.links())
        return self._metrics.text()

    def access(self, code: str, username: str, at_ms: int, wish: interface.UnlockWish) -> interface.AccessView | None:
        return self._reception.access(code, username, at_ms, wish)

    async def unlock(self, person: interface.Person, code: str, wish: interface.UnlockWish) -> interface.Unlocked:
        return await self._reception.unlock(person, code, wish)

    async def lock(
        self, person: interface.Person, code: str, *, staff: bool, emergency: bool
    ) -> interface.SessionView | None:
        return await self._reception.lock(person, code, staff=staff, emergency=emergency)

    async def sessions(self, wanted: interface.SessionQuery) -> tuple[Sequence[interface.SessionView], int]:
        return await self._reception.sessions(wanted)

    async def session(self, id: str) -> interface.SessionView | None:  # noqa: A002 - as the interface calls it
        return await self._reception.session(id)

    def running(self, code: str) -> interface.SessionView | None:
        return self._reception.running(code)

    def alerts(self) -> Sequence[interface.AlertView]:
        return self._reception.alerts()

    async def past_alerts(self, wanted: interface.AlertQuery) -> tuple[Sequence[interface.AlertView], int]:
        return await self._lookup.alerts(wanted)

    async def acknowledge(self, person: interface.Person, id: str) -> interface.AlertView | None:  # noqa: A002
        return await self._reception.acknowledge(person, id)

    async def resolve(self, person: interface.Person, id: str) -> interface.AlertView | None:  # noqa: A002
        return await self._reception.resolve(person, id)

    async def silence(self, person: interface.Person, wish: interface.SilenceWish) -> interface.SilenceView:
        return await self._reception.silence(person, wish)

    def listen_alerts(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._alert_listeners.append(listener)
        return lambda: self._alert_listeners.remove(listener)

    async def bookings(self, wanted: interface.BookingQuery) -> tuple[Sequence[interface.BookingView], int]:
        return await self._bookings.list(wanted)

    async def booking(self, id: str) -> interface.BookingView | None:  # noqa: A002
        return await self._bookings.get(id)

    async def book(self, person: interface.Person, wish: interface.BookingWish) -> interface.BookingView:
        return await self._reception.book(person, wish)

    async def cancel(self, person: interface.Person, id: str) -> interface.BookingView | None:  # noqa: A002, ARG002
        return await self._reception.cancel(id)

    async def sign_in(self, username: str, password: str) -> str | None:
        return await self._people.sign_in(username, password)

    async def person(self, token: str) -> interface.Person | None:
        return await self._people.person(token)

    async def sign_out(self, token: str) -> None:
        await self._people.sign_out(token)


def _learnt(fact: Fact, number: int, at_ms: int) -> Learnt:
    return Learnt(number=number, at_ms=at_ms, fact=fact)


def _unsent(instrument: str, command: str, number: int, at_ms: int) -> Unsent:
    return Unsent(number=number, at_ms=at_ms, instrument=instrument, command=command)


def _first(failures: ExceptionGroup) -> Exception:
    """What ended the service: the first task that failed took the others with it."""
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first


@asynccontextmanager
async def open_database(database_url: str) -> AsyncIterator[None]:
    """The relational tables, brought to the present version. Raises asyncpg.PostgresError or OSError."""
    await migrate(database_url)
    await Tortoise.init(config=tortoise_config(database_url))
    try:
        yield
    finally:
        await Tortoise.close_connections()


@asynccontextmanager
async def open_service(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[TwinService]:
    """A restored service on the database and the broker of the settings; it runs until the block is left.

    Raises:
        asyncpg.PostgresError, OSError: the database cannot be used.
        AnotherWriterError: another service writes to this database.
        OvertakenError (in a group, at the end): another service took over while the database was out of reach.

    """
    if settings.database_url is None or settings.mqtt_url is None:
        raise SettingsError("a service needs DATABASE_URL and MQTT_URL")
    async with (
        open_database(settings.database_url),
        open_pool(settings.database_url) as pool,
    ):
        await make_grant_keys()
        with uncollected():
            service = TwinService(settings, pool, await load_registry(), clock)
            await service.start(pool)
        try:
            yield service
        finally:
            gc.unfreeze()  # what was to stay while the service runs may be looked at again
            await service.stop()
