"""Servers of our own that end by themselves come back."""

import os
import signal
from pathlib import Path

import pytest

from tests.sites import until
from twin.servers import Servers, kept_running, private_servers


def _pids(servers: Servers) -> list[int | None]:
    assert servers.postgres is not None
    assert servers.broker is not None
    return [servers.postgres.pid, servers.broker.pid]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["crashes", "is ended"])
async def test_a_server_that_ends_is_started_again_where_it_was(servers_home: Path, number: signal.Signals) -> None:
    async with private_servers(servers_home) as servers:
        before = _pids(servers)
        ports = [servers.postgres and servers.postgres.port, servers.broker and servers.broker.port]
        async with kept_running(servers):
            for pid in before:
                assert pid is not None
                os.kill(pid, number)
            await until(lambda: None not in _pids(servers) and not set(before) & set(_pids(servers)))
        assert [servers.postgres and servers.postgres.port, servers.broker and servers.broker.port] == ports
    assert _pids(servers) == [None, None]
