"""Alerts and bookings over HTTP: who may answer, silence, book and give back, and what others are told."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.web.campus import Campus
from tests.unit.web.served import Site, ask, code_of, opened


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(Campus(15)) as site:
        yield site


# Alerts


async def alerts(site: Site, user: str, query: str = "") -> list[str]:
    return [item["id"] for item in (await ask(site, user, "GET", f"/alerts{query}")).json()["items"]]


@pytest.fixture
def fired(site: Site) -> None:
    site.campus.fire("SEM-000")
    site.campus.fire("FUR-002", "POWER_WITHOUT_SESSION", "critical")
    site.campus.fire(None, "SITE_OFFLINE", "critical")
    site.campus.fire("TEM-001", "CLOCK_SKEW", "warning")


@pytest.mark.usefixtures("fired")
async def test_alerts_are_for_those_who_see_to_them_the_worst_first(site: Site) -> None:
    assert await alerts(site, "guard") == ["a3", "a2", "a4", "a1"]
    assert await alerts(site, "manager", "?severity=critical") == ["a3", "a2"]
    assert await alerts(site, "keeper") == ["a4", "a1"]
    assert await alerts(site, "keeper", "?instrument=SEM-000&kind=IDLE_SESSION") == ["a1"]
    for user in ("li", "dean"):
        assert code_of(await ask(site, user, "GET", "/alerts")) == (403, "FORBIDDEN")
    assert code_of(await ask(site, "keeper", "GET", "/alerts?instrument=FUR-002")) == (403, "FORBIDDEN")
    assert code_of(await ask(site, "guard", "GET", "/alerts?kind=NOPE")) == (422, "INVALID_PARAMETER")


@pytest.mark.usefixtures("fired")
async def test_alerts_that_are_over_are_history(site: Site) -> None:
    for alert in ("a1", "a2", "a3"):
        site.campus.clear(alert)
    assert await alerts(site, "guard", "?state=resolved") == ["a3", "a2", "a1"]
    assert await alerts(site, "keeper", "?state=resolved") == ["a1"]
    assert (await ask(site, "guard", "GET", "/alerts?state=resolved&limit=1&offset=1")).json()["total"] == 3
    table = (await ask(site, "guard", "GET", "/alerts?format=csv")).text
    assert "a4,TEM-001,CLOCK_SKEW,warning,firing," in table
    assert table.strip().endswith('"manager, user",')


@pytest.mark.usefixtures("fired")
async def test_acknowledging_and_resolving(site: Site) -> None:
    acknowledged = (await ask(site, "guard", "POST", "/alerts/a2/acknowledge")).json()
    assert acknowledged["acknowledged_by"] == "guard"
    assert code_of(await ask(site, "guard", "POST", "/alerts/a2/resolve")) == (403, "FORBIDDEN")
    assert code_of(await ask(site, "keeper", "POST", "/alerts/a2/acknowledge")) == (403, "FORBIDDEN")
    assert code_of(await ask(site, "keeper", "POST", "/alerts/a3/resolve")) == (403, "FORBIDDEN")
    resolved = await ask(site, "keeper", "POST", "/alerts/a1/resolve")
    assert (resolved.status_code, resolved.json()["state"]) == (200, "resolved")
    assert code_of(await ask(site, "keeper", "POST", "/alerts/a1/resolve")) == (404, "UNKNOWN_ALERT")
    assert await alerts(site, "guard") == ["a3", "a4", "a2"], "those that somebody sees to come last"


@pytest.mark.parametrize(
    ("user", "wish", "status"),
    [
        ("keeper", {"instrument": "SEM-000"}, 201),
        ("keeper", {"instrument": "SEM-000", "kind": "IDLE_SESSION"}, 201),
        ("keeper", {"instrument": "FUR-002"}, 403),
        ("keeper", {"kind": "IDLE_SESSION"}, 403),
        ("guard", {"instrument": "SEM-000"}, 403),
        ("manager", {"platform": "HEAT"}, 201),
        ("manager", {}, 201),
        ("manager", {"instrument": "NOPE"}, 404),
        ("manager", {"platform": "NOPE"}, 404),
        ("manager", {"kind": "NOPE"}, 422),
        ("manager", {"until": "2025-10-09T08:00:00Z"}, 422),
        ("manager", {"until": "2026-10-09T08:00:00Z"}, 422),
        ("manager", {"until": "2025-10-09T10:00:00"}, 422),
        ("manager", {"reason": ""}, 422),
    ],
)
async def test_silences(site: Site, user: str, wish: dict[str, str], status: int) -> None:
    whole = {"until": "2025-10-09T10:00:00Z", "reason": "a test run"} | wish
    answer = await ask(site, user, "POST", "/alerts/silences", json=whole)
    assert answer.status_code == status
    assert len(site.campus.silences) == (status == 201)
    if status == 201:
        assert answer.json()["author"] == user


# Bookings


def slot(start: int, end: int) -> dict[str, str]:
    return {"instrument": "SEM-000", "from": f"2025-10-10T{start:02}:00:00Z", "to": f"2025-10-10T{end:02}:00:00+00:00"}


async def test_booking_and_giving_it_back(site: Site) -> None:
    answer = await ask(site, "li", "POST", "/bookings", json=slot(8, 10))
    booking = answer.json()
    assert (answer.status_code, booking["user"], booking["from"]) == (201, "li", "2025-10-10T08:00:00.000+00:00")
    assert (await ask(site, "li", "GET", "/bookings")).json()["items"] == [booking]
    assert (await ask(site, "li", "GET", "/bookings/b1")).json() == booking
    assert (await ask(site, "wang", "GET", "/bookings")).json()["total"] == 0
    for method in ("GET", "DELETE"):
        assert code_of(await ask(site, "wang", method, "/bookings/b1")) == (403, "FORBIDDEN")
    assert (await ask(site, "li", "DELETE", "/bookings/b1")).json()["state"] == "cancelled"
    assert code_of(await ask(site, "li", "DELETE", "/bookings/b1")) == (404, "UNKNOWN_BOOKING")
    assert code_of(await ask(site, "li", "GET", "/bookings/nope")) == (404, "UNKNOWN_BOOKING")


async def test_a_conflict_names_what_could_be_booked(site: Site) -> None:
    await ask(site, "li", "POST", "/bookings", json=slot(8, 10))
    answer = await ask(site, "wang", "POST", "/bookings", json=slot(9, 11))
    assert code_of(answer) == (409, "CONFLICT")
    assert [stretch["from"] for stretch in answer.json()["free"]] == ["2025-10-10T11:00:00.000+00:00"]
    assert set(answer.json()["free"][0]) == {"from", "to"}


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        (slot(10, 9), 422, "INVALID_PARAMETER"),
        (slot(9, 10) | {"from": "2025-10-10T09:00:00"}, 422, "INVALID_PARAMETER"),
        (slot(9, 10) | {"user": "wang"}, 422, "INVALID_PARAMETER"),
        (slot(9, 10) | {"instrument": "NOPE"}, 404, "UNKNOWN_INSTRUMENT"),
        (slot(9, 10) | {"instrument": "LC-004"}, 404, "NO_CONTROLLER"),
    ],
)
async def test_a_booking_that_cannot_be(site: Site, wish: dict[str, str], status: int, code: str) -> None:
    assert code_of(await ask(site, "li", "POST", "/bookings", json=wish)) == (status, code)
