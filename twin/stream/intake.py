"""What the broker sends, taken from the socket in large pieces.

paho reads a packet with three system calls, and gives each message locks, a condition variable and a callback; aiomqtt
adds a turn of the event loop. At thousands a second that alone fills a core. So messages are cut out of what a single
system call gives, and the client library reads only the few other packets: connecting, subscribing and pings stay its
business, and so does noticing that the connection is lost.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode

from twin.stream.packets import Delivery, NotMqttError, cut

CHUNK = 256 * 1024
"""Bytes taken at once: some 2,000 readings, a few milliseconds of work."""


class Intake:
    """Stands between one connection's socket and paho; messages go to `hand_over` instead of through paho."""

    def __init__(
        self, paho: Client, connection: int, clock: Callable[[], int], hand_over: Callable[[Sequence[Delivery]], None]
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._hand_over = hand_over
        self._rest = b""
        self._others = b""
        self._ended = False
        # aiomqtt calls `loop_read` when the socket is readable, and that calls `_sock_recv`: there is no public way.
        self._receive: Callable[[int], bytes] = paho._sock_recv  # noqa: SLF001
        self._let_paho_read: Callable[[], MQTTErrorCode] = paho.loop_read
        self._close: Callable[[], None] = paho._sock_close  # noqa: SLF001
        paho._sock_close = self._read_rest_and_close  # type: ignore[method-assign]  # noqa: SLF001 - see above
        paho._sock_recv = self._next_other  # type: ignore[method-assign, assignment]  # noqa: SLF001 - see above
        paho.loop_read = self._read  # type: ignore[method-assign, assignment]  # see above

    def _read(self, _max_packets: int = 1) -> MQTTErrorCode:
        try:
            self._take(self._receive(CHUNK))
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except (OSError, NotMqttError):
            self._ended = True
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        while (self._others or self._ended) and code is MQTTErrorCode.MQTT_ERR_SUCCESS:
            code = self._let_paho_read()
        return code

    def _read_rest_and_close(self) -> None:
        """What has arrived is ours: a broker that crashed has acknowledged it to its publishers and forgotten it."""
        with suppress(OSError, NotMqttError):
            while not self._ended:
                self._take(self._receive(CHUNK))
        self._close()

    def _take(self, data: bytes) -> None:
        self._ended = not data
        found = cut(self._rest + data, self._clock(), self._connection)
        self._rest = found.rest
        self._others += found.others
        if found.deliveries:
            self._hand_over(found.deliveries)

    def _next_other(self, size: int) -> bytes:
        """What paho takes for the socket's `recv`: the packets that are no messages; nothing is the end."""
        if not self._others and not self._ended:
            raise BlockingIOError
        taken, self._others = self._others[:size], self._others[size:]
        return taken
