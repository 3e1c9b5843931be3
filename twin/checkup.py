"""What `twin doctor` looks at: each check is a finding with what it saw and, where something is wrong, what to do."""

import os
import shutil
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import aiomqtt
import asyncpg
import msgspec

from twin.clock import system_clock
from twin.running import find_running
from twin.servers.homes import base_folder, cache_folder
from twin.settings import Settings
from twin.stream.broker import parse_broker
from twin.stream.topics import Topics

MIN_POSTGRES = 15
MAX_CLOCK_OFF_S = 2.0
MIN_FREE_BYTES = 2 * 1024**3
CONNECT_WITHIN_S = 10


class Finding(msgspec.Struct, frozen=True):
    """The result of one check; `advice` says what to do unless `level` is ok."""

    check: str
    level: Literal["ok", "warning", "failed"]
    saw: str
    advice: str = ""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """All findings, one after the other."""
    if settings.database_url is None:
        yield _own_servers("database", "DATABASE_URL")
    else:
        async for finding in _database(settings.database_url):
            yield finding
    if settings.mqtt_url is None:
        yield _own_servers("broker", "MQTT_URL")
    else:
        yield await _broker(settings.mqtt_url, Topics(settings.topic_prefix))
    yield _port(settings)
    yield _folder("data folder", base_folder(), "TWIN_HOME")
    yield _folder("cache folder", cache_folder(), "XDG_CACHE_HOME")


def _own_servers(check: str, variable: str) -> Finding:
    if shutil.which("apt-get") is None:
        return Finding(
            check,
            "warning",
            f"{variable} is not set, and this machine has no apt to fetch a private server with",
            f"set {variable}, or run `docker compose -f deploy/compose.yaml up`",
        )
    return Finding(check, "ok", f"{variable} is not set: a private server will be used")


async def _database(url: str) -> AsyncIterator[Finding]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_WITHIN_S)
    except (OSError, TimeoutError, asyncpg.PostgresError, ValueError) as error:
        advice = "check DATABASE_URL (postgresql://user:password@host/database), and that the server runs"
        yield Finding("database", "failed", f"cannot connect: {error or type(error).__name__}", advice)
        return
    try:
        yield _version(connection)
        yield await _extension(connection)
        yield await _rights(connection)
        yield await _clock(connection)
    finally:
        await connection.close()


def _version(connection: asyncpg.Connection) -> Finding:
    major = connection.get_server_version().major
    if major < MIN_POSTGRES:
        advice = f"use PostgreSQL {MIN_POSTGRES} or newer"
        return Finding("database", "failed", f"PostgreSQL {major}", advice)
    return Finding("database", "ok", f"PostgreSQL {major}")


async def _extension(connection: asyncpg.Connection) -> Finding:
    row = await connection.fetchrow(
        "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = 'timescaledb'"
    )
    if row is None:
        advice = "install the TimescaleDB package for this server and add it to shared_preload_libraries"
        return Finding("TimescaleDB", "failed", "the extension is not available", advice)
    licence = await connection.fetchval("SELECT current_setting('timescaledb.license', true)")
    if licence is None:
        advice = "set shared_preload_libraries = 'timescaledb' and restart the server"
        return Finding("TimescaleDB", "failed", f"version {row['default_version']} is not loaded", advice)
    state = "installed" if row["installed_version"] else "will be installed at the first start"
    return Finding("TimescaleDB", "ok", f"version {row['default_version']}, {state}, licence {licence}")


async def _rights(connection: asyncpg.Connection) -> Finding:
    allowed = await connection.fetchval("SELECT has_schema_privilege(current_schema(), 'CREATE')")
    if not allowed:
        return Finding("rights", "failed", "may not create tables", "GRANT CREATE ON SCHEMA public TO this user")
    return Finding("rights", "ok", "may create tables")


async def _clock(connection: asyncpg.Connection) -> Finding:
    before_s = time.monotonic()
    theirs_s = float(await connection.fetchval("SELECT extract(epoch FROM clock_timestamp())"))
    took_s = time.monotonic() - before_s
    off_s = abs(system_clock() / 1000 - took_s / 2 - theirs_s)
    saw = f"{off_s:.2f} s from the database's"
    if off_s > MAX_CLOCK_OFF_S:
        return Finding(
            "clock", "warning", saw, "let both machines keep time by NTP: late or early stamps cost readings"
        )
    return Finding("clock", "ok", saw)


async def _broker(url: str, topics: Topics) -> Finding:
    broker = parse_broker(url)
    where = f"{broker.host}:{broker.port}"
    try:
        async with broker.client(timeout=CONNECT_WITHIN_S) as client:
            granted = await client.subscribe([(each, 1) for each in topics.subscriptions()])
    except (aiomqtt.MqttError, OSError) as error:
        advice = "check MQTT_URL (mqtt://user:password@host:1883), and that the broker runs and knows this account"
        return Finding("broker", "failed", f"{where}: {error}", advice)
    if any(not isinstance(code, int) and code.is_failure for code in granted):
        return Finding("broker", "failed", f"{where}: subscription refused", f"allow the account {topics.prefix}/#")
    return Finding("broker", "ok", where)


def _port(settings: Settings) -> Finding:
    where = f"{settings.http_host}:{settings.http_port}"
    try:
        socket.create_server((settings.http_host, settings.http_port)).close()
    except OSError as error:
        running = find_running()
        if running is not None and running.http.endswith(f":{settings.http_port}"):
            return Finding("HTTP port", "ok", f"{where}: the service runs there")
        return Finding("HTTP port", "failed", f"{where}: {error.strerror}", "choose another: TWIN_HTTP_PORT or --port")
    return Finding("HTTP port", "ok", f"{where} is free")


def _folder(check: str, path: Path, variable: str) -> Finding:
    base = next(folder for folder in (path, *path.parents) if folder.exists())
    if not os.access(base, os.W_OK):
        return Finding(check, "failed", f"{path} cannot be written", f"set {variable} to a folder of yours")
    free = shutil.disk_usage(base).free
    if free < MIN_FREE_BYTES:
        return Finding(check, "warning", f"{path}: {free / 1024**3:.1f} GiB free", "make room: readings will need it")
    return Finding(check, "ok", f"{path}, {free / 1024**3:.0f} GiB free")
