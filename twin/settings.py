"""Where everything is: read once from the environment, then a value."""

from collections.abc import Mapping
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from twin.stream.broker import parse_broker


class SettingsError(ValueError):
    """A setting is wrong; the message says which and what would be right."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the service; each is an environment variable of the same name in capitals, `TWIN_` before it.

    `database_url` and `mqtt_url` are `DATABASE_URL` and `MQTT_URL`.
    """

    database_url: str | None = None
    """TimescaleDB, `postgresql://user:password@host/database`; None: one of our own."""
    mqtt_url: str | None = None
    """Broker, `mqtt://user:password@host:1883`; None: one of our own."""
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """0: any free port."""
    timezone: str = "Asia/Shanghai"
    """The site's time zone: local days are in it."""
    topic_prefix: Annotated[str, Meta(pattern=r"^[^+#\x00/]+(/[^+#\x00/]+)*$")] = "users/v1"
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"`timezone`: no such zone: {self.timezone!r}; e.g. Asia/Shanghai, UTC") from error
        if self.mqtt_url is not None:
            parse_broker(self.mqtt_url)

    def __repr__(self) -> str:
        return f"Settings(http={self.http_host}:{self.http_port}, timezone={self.timezone})"


_PLAIN = {"database_url": "DATABASE_URL", "mqtt_url": "MQTT_URL"}


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return _PLAIN.get(field, f"TWIN_{field.upper()}")


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings that the environment gives; what it does not name, by default.

    Raises:
        SettingsError: a variable has a value that cannot be.

    """
    given = {
        field: environment[variable(field)] for field in Settings.__struct_fields__ if variable(field) in environment
    }
    try:
        return msgspec.convert({field: value for field, value in given.items() if value}, Settings, strict=False)
    except msgspec.ValidationError as error:
        names = ", ".join(variable(field) for field in given)
        raise SettingsError(f"{error} (from the environment: {names})") from error
