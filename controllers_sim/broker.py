"""Where the broker is and who speaks: from a joined service, the environment or a scenario. Never from arguments."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec

from controllers_sim.errors import SimulatorError

HOW = (
    "Say where the broker is: --join FILE with what `twin info --json` prints (- for standard input), the environment "
    "variable MQTT_URL=mqtt://user:pass@host:port, or a [broker] table in the scenario."
)


@dataclass(frozen=True, slots=True)
class Account:
    """Who speaks. The password stays out of every printed form."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker and, where there is one, the account that may speak for every controller."""

    host: str
    port: int
    account: Account | None = None

    @property
    def address(self) -> str:
        """The broker's address, fit to be shown."""
        return f"{self.host}:{self.port}"


class BrokerTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `[broker]` table of a scenario, and the `mqtt` object of a joined service."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 1883
    username: str | None = None
    password: str | None = None

    def broker(self) -> Broker:
        """Give the broker it describes."""
        return Broker(self.host, self.port, _account(self.username, self.password))


def find_broker(join: str | None, table: BrokerTable | None) -> Broker:
    """Find the broker: `join` (a file, or - for standard input), else MQTT_URL, else the scenario's table.

    Raises:
        SimulatorError: none is given, or what is given cannot be understood.

    """
    if join is not None:
        return _from_join(join)
    if url := os.environ.get("MQTT_URL"):
        return from_url(url)
    if table is not None:
        return table.broker()
    raise SimulatorError("No broker is given.", HOW)


def from_url(url: str) -> Broker:
    """Read `mqtt://user:pass@host:port`.

    Raises:
        SimulatorError: it is not such an address. The address itself is not shown: it may hold a password.

    """
    try:
        parts = urlsplit(url)
        port = parts.port or 1883
    except ValueError:
        raise SimulatorError("MQTT_URL is not an address.", HOW) from None
    if parts.scheme not in {"mqtt", "tcp"} or not parts.hostname:
        raise SimulatorError("MQTT_URL does not begin with mqtt:// and a host.", HOW)
    username = unquote(parts.username) if parts.username else None
    return Broker(parts.hostname, port, _account(username, unquote(parts.password or "")))


def _from_join(join: str) -> Broker:
    try:
        text = sys.stdin.read() if join == "-" else Path(join).read_text(encoding="utf-8")
        return msgspec.convert(json.loads(text)["mqtt"], _JoinedMqtt).broker()
    except OSError as error:
        raise SimulatorError(f"--join {join}: cannot read it: {error.strerror}.", HOW) from None
    except (ValueError, KeyError, TypeError, msgspec.ValidationError) as error:
        raise SimulatorError(f"--join {join}: not what `twin info --json` prints: {error}.", HOW) from None


class _JoinedMqtt(BrokerTable, frozen=True, forbid_unknown_fields=False):
    """The same, from a service that may say more."""


def _account(username: str | None, password: str | None) -> Account | None:
    return Account(username, password or "") if username else None
