"""The alerts' socket over a real server: who may watch, what they are told, and when it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.unit.web.campus import Campus
from tests.unit.web.served import Site, opened, until
from web.settings import WebSettings


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(Campus(15), WebSettings(recheck_ms=50)) as site:
        yield site


async def received(socket: Any) -> dict[str, Any]:
    async with asyncio.timeout(30):
        frame: dict[str, Any] = json.loads(await socket.recv())
        return frame


async def token_of(site: Site, username: str) -> str:
    token = await site.campus.sign_in(username, "right")
    assert token is not None
    return token


async def watch(site: Site, username: str, query: str = "", *, by: str = "bearer") -> Any:
    token = await token_of(site, username)
    headers = {"authorization": f"Bearer {token}"} if by == "bearer" else {"cookie": f"twin_session={token}"}
    return await site.socket(f"/ws/alerts{query}", additional_headers=headers)


async def refused(socket: Any) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as closed:
        await received(socket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.mark.parametrize("by", ["bearer", "cookie"])
async def test_a_snapshot_then_changes(site: Site, by: str) -> None:
    site.campus.fire("SEM-000")
    console = await watch(site, "guard", by=by)
    first = await received(console)
    assert [alert["id"] for alert in first["snapshot"]] == ["a1"]
    site.campus.fire(None, "SITE_OFFLINE", "critical")
    frame = await received(console)
    assert frame["since"] == first["rev"] < frame["rev"]
    assert [(alert["id"], alert["instrument"]) for alert in frame["changes"]] == [("a2", None)]
    site.campus.clear("a1")
    assert [(alert["id"], alert["state"]) for alert in (await received(console))["changes"]] == [("a1", "resolved")]
    assert "twin_alerts_clients 1.0" in (await site.http.get("/metrics")).text
    await console.close()
    await until(lambda: not site.campus.alert_listeners)


async def test_who_operates_an_instrument_hears_of_that_one_alone(site: Site) -> None:
    site.campus.fire("FUR-002")
    console = await watch(site, "keeper")
    assert (await received(console))["snapshot"] == []
    site.campus.fire(None, "SITE_OFFLINE", "critical")
    site.campus.fire("SEM-000")
    assert [alert["instrument"] for alert in (await received(console))["changes"]] == ["SEM-000"]
    await console.close()


async def test_a_page_may_watch_one_instrument(site: Site) -> None:
    site.campus.fire("FUR-002")
    site.campus.fire("SEM-000")
    console = await watch(site, "guard", "?instrument=SEM-000")
    assert [alert["id"] for alert in (await received(console))["snapshot"]] == ["a2"]
    await console.close()


async def test_those_who_may_see_none_are_refused_with_a_reason(site: Site) -> None:
    assert await refused(await site.socket("/ws/alerts")) == (4401, "NOT_SIGNED_IN")
    assert await refused(await watch(site, "li")) == (4403, "FORBIDDEN")
    assert await refused(await watch(site, "keeper", "?instrument=FUR-002")) == (4403, "FORBIDDEN")


async def test_signing_out_ends_the_watch(site: Site) -> None:
    token = await token_of(site, "guard")
    console = await site.socket("/ws/alerts", additional_headers={"authorization": f"Bearer {token}"})
    await received(console)
    await site.campus.sign_out(token)
    assert await refused(console) == (4401, "NOT_SIGNED_IN")
