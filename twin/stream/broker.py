"""Where the broker is and how to talk to it."""

import asyncio
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import aiomqtt
import msgspec
from paho.mqtt import client as paho

_FORM = (
    "MQTT_URL must look like mqtt://user:password@host:1883 (or mqtts://); in a password / # ? @ are %2F %23 %3F %40"
)


class Client(aiomqtt.Client):
    """aiomqtt's client, which notices ends of connections that aiomqtt leaves unnoticed.

    The end of a connection where something else noticed it first: asyncio would complain of each of them, at a time of
    its own choosing. And one that ends before the broker has answered, as behind a forwarder whose broker is away:
    aiomqtt would wait for its time-out, and nothing would be heard for that long.

    And it heeds cancellations. aiomqtt waits by `asyncio.wait_for`, which before Python 3.12 gives the answer and
    forgets the cancellation where both come at the same moment: whoever cancelled would wait for ever.
    """

    async def __aenter__(self) -> Self:
        """Connect. Raises aiomqtt.MqttError."""
        await super().__aenter__()
        try:
            _heed_cancellation()
        except asyncio.CancelledError:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def subscribe(self, *args: Any, **options: Any) -> Any:
        """Subscribe, as aiomqtt does. Raises aiomqtt.MqttError."""
        granted = await super().subscribe(*args, **options)
        _heed_cancellation()
        return granted

    async def publish(self, *args: Any, **options: Any) -> None:
        """Publish, as aiomqtt does. Raises aiomqtt.MqttError."""
        await super().publish(*args, **options)
        _heed_cancellation()

    def _on_disconnect(self, client: paho.Client, userdata: Any, *told: Any) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("the connection ended before the broker had answered"))
        super()._on_disconnect(client, userdata, *told)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Leave, and take note of why the connection had ended before."""
        try:
            await super().__aexit__(kind, error, where)
        finally:
            if self._disconnected.done() and not self._disconnected.cancelled():
                self._disconnected.exception()


def _heed_cancellation() -> None:
    """Raise asyncio.CancelledError if this task was told to end and goes on all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class BrokerAddress(msgspec.Struct, frozen=True):
    """Host, port and account. The password is never part of a message or a representation."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: bool = False

    def __repr__(self) -> str:
        return f"BrokerAddress({self.host}:{self.port} as {self.username})"

    def client(self, identifier: str | None = None, **options: Any) -> Client:
        """A client of this broker, not connected yet."""
        return Client(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password,
            identifier=identifier,
            tls_params=aiomqtt.TLSParameters() if self.tls else None,
            **options,
        )


def parse_broker(url: str) -> BrokerAddress:
    """A broker's address from `mqtt://user:password@host:1883` or `mqtts://...:8883`.

    Raises:
        ValueError: the URL is not of that form. The message does not repeat it: a password may stand in it.

    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # which quotes what may be the password
        raise ValueError(_FORM) from None
    if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
        raise ValueError(_FORM)
    tls = parts.scheme == "mqtts"
    return BrokerAddress(
        host=parts.hostname,
        port=port or (8883 if tls else 1883),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=tls,
    )
