"""The board's socket over a real server, and the server's own start and stop."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.unit.web.campus import Campus
from tests.unit.web.served import Site, opened, until
from web.app import create_app
from web.server import serving
from web.settings import WebSettings


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(Campus(15)) as site:
        yield site


async def received(board: Any) -> dict[str, Any]:
    async with asyncio.timeout(30):
        frame: dict[str, Any] = json.loads(await board.recv())
        return frame


async def test_metrics_tell_of_the_service_and_of_the_boards(site: Site) -> None:
    async with site.board() as board:
        await received(board)
        text = (await site.http.get("/metrics")).text
    assert "twin_twins 12" in text
    assert "twin_board_clients 1.0" in text


async def test_a_board_gets_a_snapshot_then_changes(site: Site) -> None:
    async with site.board() as board:
        snapshot = await received(board)
        assert {twin["instrument"] for twin in snapshot["snapshot"]} == {v.instrument for v in site.campus.views()}
        site.campus.change("SEM-000", watts=4321.0)
        frame = await received(board)
        assert frame["since"] == snapshot["rev"] < frame["rev"]
        assert [(twin["instrument"], twin["power"]["watts"]) for twin in frame["changes"]] == [("SEM-000", 4321.0)]


async def test_a_board_of_a_platform(site: Site) -> None:
    async with site.board("?platform=CHEMISTRY") as board:
        assert {t["instrument"] for t in (await received(board))["snapshot"]} == {"NMR-005", "LC-010", "NMR-011"}


async def test_many_changes_become_few_frames(site: Site) -> None:
    async with site.board() as board:
        await received(board)
        started_s = time.monotonic()
        for watts in range(200):
            site.campus.change("SEM-000", watts=float(watts))
            await asyncio.sleep(0.001)
        frames = 1
        while (frame := await received(board))["changes"][0]["power"]["watts"] != 199.0:
            frames += 1
            assert len(frame["changes"]) == 1
        passed_ms = (time.monotonic() - started_s) * 1000
        assert frames <= passed_ms / WebSettings().frame_ms + 1
        assert frames < 200


async def test_nobody_watching_costs_nothing(site: Site) -> None:
    assert site.campus.listeners == []
    async with site.board() as board:
        await received(board)
        assert len(site.campus.listeners) == 1
    await until(lambda: not site.campus.listeners)


@pytest.mark.parametrize("origin", ["http://evil.example", "null"])
async def test_another_sites_page_gets_no_socket(site: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with site.board(additional_headers={"origin": origin}):
            pass
    assert refused.value.response.status_code == 403


async def test_our_own_page_gets_a_socket(site: Site) -> None:
    async with site.board(additional_headers={"origin": f"http://127.0.0.1:{site.port}"}) as board:
        assert "snapshot" in await received(board)


async def test_an_unknown_platform_is_refused_with_a_reason(site: Site) -> None:
    async with site.board("?platform=NOPE") as board:
        with pytest.raises(ConnectionClosed) as closed:
            await received(board)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4404, "UNKNOWN_PLATFORM")


async def test_one_board_too_many_is_refused_and_the_others_go_on() -> None:
    async with opened(Campus(5), WebSettings(max_boards=1)) as site, site.board() as first:
        await received(first)
        async with site.board() as second:
            with pytest.raises(ConnectionClosed) as closed:
                await received(second)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1013
        site.campus.change("SEM-000", watts=1.0)
        assert "changes" in await received(first)


async def test_a_board_that_does_not_read_is_let_go_and_hurts_nobody() -> None:
    async with opened(Campus(400), WebSettings(send_timeout_ms=300)) as site, site.board() as reader:
        await received(reader)
        deaf = await _deaf_board(site.port)
        async with asyncio.timeout(30):
            while "twin_board_let_go_total 1.0" not in (await site.http.get("/metrics")).text:
                for view in site.campus.views():
                    site.campus.change(view.instrument, watts=1.0)
                assert len((await received(reader))["changes"]) > 0
        async with asyncio.timeout(30):
            while "twin_board_clients 1.0" not in (await site.http.get("/metrics")).text:
                continue
        deaf.close()


async def _deaf_board(port: int) -> socket.socket:
    """A client that shakes hands and then never reads."""
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, ("127.0.0.1", port))
    handshake = (
        f"GET /ws/board HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(deaf, handshake.encode())
    return deaf


async def test_stopping_closes_boards_as_a_restart() -> None:
    async with opened(Campus(5)) as site:
        board = await site.board()
        await received(board)
    with pytest.raises(ConnectionClosed) as closed:
        await received(board)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


async def test_a_port_in_use_is_an_error_at_once(site: Site) -> None:
    with pytest.raises(OSError, match="in use"):
        async with serving(create_app(Campus(1)), "127.0.0.1", site.port):
            pass
