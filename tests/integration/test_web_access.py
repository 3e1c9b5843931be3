"""Access and sessions over HTTP: who gets what, and what they are told where they do not."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.web.campus import START_MS, Campus
from tests.unit.web.served import Site, ask, code_of, opened
from twin.permission import AccessCode, Opened


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(Campus(15)) as site:
        yield site


CALLS = [
    ("GET", "/access?instrument=SEM-000", None),
    ("POST", "/twins/SEM-000/unlock", {}),
    ("POST", "/twins/SEM-000/lock", {}),
    ("GET", "/sessions", None),
    ("GET", "/sessions/s1", None),
    ("GET", "/alerts", None),
    ("POST", "/alerts/a1/acknowledge", None),
    ("POST", "/alerts/a1/resolve", None),
    ("POST", "/alerts/silences", {"until": "2025-10-10T00:00:00Z", "reason": "x"}),
    ("GET", "/bookings", None),
    ("POST", "/bookings", {"instrument": "SEM-000", "from": "2025-10-10T00:00:00Z", "to": "2025-10-10T01:00:00Z"}),
    ("GET", "/bookings/b1", None),
    ("DELETE", "/bookings/b1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
async def test_nobody_gets_in_without_signing_in(site: Site, method: str, path: str, body: Any) -> None:
    site.campus.begin("SEM-000", "li")
    site.campus.fire("SEM-000")
    assert code_of(await ask(site, None, method, path, json=body)) == (401, "NOT_SIGNED_IN")


@pytest.mark.parametrize(("method", "path", "body"), [call for call in CALLS if call[0] != "GET"])
async def test_another_sites_page_changes_nothing_with_a_users_cookie(
    site: Site, method: str, path: str, body: Any
) -> None:
    await site.http.post("/api/v1/auth/login", json={"username": "manager", "password": "right"})
    answer = await ask(site, None, method, path, json=body, headers={"origin": "http://evil.example"})
    assert code_of(answer) == (403, "FOREIGN_ORIGIN")


# Access


async def test_access_is_told_with_every_check(site: Site) -> None:
    site.campus.refuse("SEM-000", 8, AccessCode.CLOSED_HOURS, Opened(START_MS))
    answer = (await ask(site, "li", "GET", "/access?instrument=SEM-000&at=2025-10-09T23:00:00%2B08:00")).json()
    assert (answer["user"], answer["decision"], answer["reason"]) == ("li", "denied", "CLOSED_HOURS")
    assert answer["at"] == "2025-10-09T15:00:00.000+00:00"
    assert [check["number"] for check in answer["checks"]] == list(range(1, 11))
    assert answer["checks"][7]["remedy"] == {"type": "opened", "at": "2025-10-09T08:53:20.000+00:00"}


@pytest.mark.parametrize(
    ("asker", "query", "status", "code"),
    [
        ("li", "instrument=SEM-000&user=wang", 403, "FORBIDDEN"),
        ("guard", "instrument=SEM-000&user=wang", 403, "FORBIDDEN"),
        ("keeper", "instrument=FUR-002&user=wang", 403, "FORBIDDEN"),
        ("keeper", "instrument=SEM-000&user=nobody", 404, "UNKNOWN_PERSON"),
        ("li", "instrument=NOPE", 404, "UNKNOWN_INSTRUMENT"),
        ("li", "instrument=LC-004", 404, "NO_CONTROLLER"),
        ("li", "", 422, "INVALID_PARAMETER"),
        ("li", "instrument=SEM-000&at=2025-10-09T23:00:00", 422, "INVALID_PARAMETER"),
    ],
)
async def test_access_that_is_not_told(site: Site, asker: str, query: str, status: int, code: str) -> None:
    assert code_of(await ask(site, asker, "GET", f"/access?{query}")) == (status, code)


async def test_who_operates_an_instrument_may_ask_for_others(site: Site) -> None:
    for asker in ("keeper", "manager"):
        answer = await ask(site, asker, "GET", "/access?instrument=SEM-000&user=wang")
        assert (answer.status_code, answer.json()["user"]) == (200, "wang")


# Unlock and lock


async def test_unlocking_begins_a_session_of_whoever_asks(site: Site) -> None:
    answer = await ask(site, "li", "POST", "/twins/SEM-000/unlock", json={"project": "P1"})
    granted = answer.json()
    assert (answer.status_code, granted["decision"], granted["reason"]) == (200, "granted", None)
    session = (await ask(site, "li", "GET", f"/sessions/{granted['session']}")).json()
    assert (session["user"], session["instrument"], session["state"]) == ("li", "SEM-000", "open")
    assert (await ask(site, None, "GET", "/twins/SEM-000")).json()["session"]["id"] == session["id"]


async def test_a_refusal_is_an_answer_with_its_explanation(site: Site) -> None:
    site.campus.refuse("SEM-000", 8, AccessCode.CLOSED_HOURS, Opened(None))
    answer = await ask(site, "li", "POST", "/twins/SEM-000/unlock", json={})
    assert answer.status_code == 200
    denied = answer.json()
    assert (denied["decision"], denied["reason"], denied["session"]) == ("denied", "CLOSED_HOURS", None)
    assert denied["explain"]["checks"][7]["standing"] == "failed"


async def test_maintenance_is_free_so_it_takes_the_right_to_it(site: Site) -> None:
    wish = {"maintenance": True}
    assert code_of(await ask(site, "li", "POST", "/twins/SEM-000/unlock", json=wish)) == (403, "FORBIDDEN")
    assert code_of(await ask(site, "keeper", "POST", "/twins/FUR-002/unlock", json=wish)) == (403, "FORBIDDEN")
    assert (await ask(site, "keeper", "POST", "/twins/SEM-000/unlock", json=wish)).json()["decision"] == "granted"


@pytest.mark.parametrize("wish", [{"user": "wang"}, {"override_reason": "x" * 501}, {"booking": 7}, []])
async def test_a_wish_that_makes_no_sense_is_refused(site: Site, wish: Any) -> None:
    answer = await ask(site, "li", "POST", "/twins/SEM-000/unlock", json=wish)
    assert code_of(answer) == (422, "INVALID_PARAMETER")
    assert site.campus.held == {}


async def test_what_could_not_be_recorded_was_not_done(site: Site) -> None:
    site.campus.begin("SEM-000", "li")
    site.campus.fire("SEM-000")
    site.campus.is_recording = False
    for method, path, body in CALLS:
        if method == "POST":
            assert code_of(await ask(site, "manager", method, path, json=body)) == (503, "NOT_RECORDED"), path


@pytest.mark.parametrize(
    ("user", "staff", "reason"), [("li", False, "USER"), ("keeper", True, "STAFF"), ("manager", True, "STAFF")]
)
async def test_ending_a_session(site: Site, user: str, staff: bool, reason: str) -> None:  # noqa: FBT001
    site.campus.begin("SEM-000", "li")
    answer = await ask(site, user, "POST", "/twins/SEM-000/lock")
    assert (answer.status_code, answer.json()["session"]["reason"]) == (200, reason)
    assert site.campus.locks == [(user, "SEM-000", staff, False)]


async def test_staff_end_their_own_session_as_its_user(site: Site) -> None:
    site.campus.begin("SEM-000", "keeper")
    assert (await ask(site, "keeper", "POST", "/twins/SEM-000/lock")).json()["session"]["reason"] == "USER"


async def test_nobody_ends_somebody_elses_session(site: Site) -> None:
    site.campus.begin("FUR-002", "li")
    for user in ("wang", "keeper", "guard", "dean"):
        assert code_of(await ask(site, user, "POST", "/twins/FUR-002/lock")) == (403, "FORBIDDEN")
    assert site.campus.running("FUR-002") is not None


async def test_where_there_is_no_session_none_can_be_ended(site: Site) -> None:
    assert code_of(await ask(site, "li", "POST", "/twins/SEM-000/lock")) == (409, "NO_SESSION")
    assert code_of(await ask(site, "li", "POST", "/twins/NOPE/lock")) == (404, "UNKNOWN_INSTRUMENT")


async def test_an_emergency_stop_is_for_those_who_watch(site: Site) -> None:
    site.campus.begin("SEM-000", "li")
    stop = {"emergency": True}
    for user in ("li", "wang", "dean"):
        assert code_of(await ask(site, user, "POST", "/twins/SEM-000/lock", json=stop)) == (403, "FORBIDDEN")
    assert site.campus.locks == []
    stopped = (await ask(site, "guard", "POST", "/twins/SEM-000/lock", json=stop)).json()["session"]
    assert (stopped["reason"], stopped["user"]) == ("EMERGENCY", "-")
    again = await ask(site, "guard", "POST", "/twins/SEM-000/lock", json=stop)
    assert (again.status_code, again.json()) == (200, {"session": None})
    assert [emergency for *_, emergency in site.campus.locks] == [True, True]


# Sessions


async def seen(site: Site, user: str, query: str = "") -> set[tuple[str, str]]:
    items = (await ask(site, user, "GET", f"/sessions{query}")).json()["items"]
    return {(item["instrument"], item["user"]) for item in items}


@pytest.fixture
def three(site: Site) -> None:
    for code, user in (("SEM-000", "li"), ("TEM-001", "wang"), ("FUR-002", "li"), ("XRD-003", "keeper")):
        site.campus.begin(code, user, ago_min=60)


@pytest.mark.usefixtures("three")
async def test_everybody_sees_what_is_theirs_to_see(site: Site) -> None:
    assert await seen(site, "li") == {("SEM-000", "li"), ("FUR-002", "li")}
    assert await seen(site, "guard") == set()
    assert await seen(site, "keeper") == {("SEM-000", "li"), ("TEM-001", "wang")}
    assert await seen(site, "keeper", "?user=keeper") == {("XRD-003", "keeper")}
    assert await seen(site, "keeper", "?instrument=FUR-002") == set()
    assert await seen(site, "keeper", "?user=li") == {("SEM-000", "li")}
    assert await seen(site, "manager", "?user=li&instrument=FUR-002") == {("FUR-002", "li")}
    assert len(await seen(site, "manager")) == 4


@pytest.mark.usefixtures("three")
async def test_analysts_see_sessions_without_names(site: Site) -> None:
    assert {user for _, user in await seen(site, "dean")} == {"-"}
    assert code_of(await ask(site, "dean", "GET", "/sessions?user=li")) == (403, "FORBIDDEN")
    site.campus.end(site.campus.held["s1"], "USER")
    session = (await ask(site, "dean", "GET", "/sessions/s1")).json()
    assert (session["user"], session["override_reason"]) == ("-", None)
    assert [line["author"] for line in session["charge"]["lines"]] == ["-"]
    assert "li" not in (await ask(site, "dean", "GET", "/sessions?format=csv")).text.replace("limit", "")


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("user", "path", "status", "code"),
    [
        ("wang", "/sessions/s1", 403, "FORBIDDEN"),
        ("guard", "/sessions/s1", 403, "FORBIDDEN"),
        ("keeper", "/sessions/s3", 403, "FORBIDDEN"),
        ("wang", "/sessions?user=li", 403, "FORBIDDEN"),
        ("keeper", "/sessions?user=li&instrument=FUR-002", 403, "FORBIDDEN"),
        ("li", "/sessions/nope", 404, "UNKNOWN_SESSION"),
        ("li", "/sessions?state=broken", 422, "INVALID_PARAMETER"),
        ("li", "/sessions?from=2025-10-10T00:00:00Z&to=2025-10-09T00:00:00Z", 422, "INVALID_PARAMETER"),
    ],
)
async def test_sessions_that_are_not_shown(site: Site, user: str, path: str, status: int, code: str) -> None:
    assert code_of(await ask(site, user, "GET", path)) == (status, code)


@pytest.mark.usefixtures("three")
async def test_sessions_come_in_pages_and_as_a_table(site: Site) -> None:
    first = (await ask(site, "manager", "GET", "/sessions?limit=3&state=open")).json()
    assert (len(first["items"]), first["total"], first["links"]["previous"]) == (3, 4, None)
    rest = (await ask(site, "manager", "GET", first["links"]["next"].removeprefix("/api/v1"))).json()
    assert [item["instrument"] for item in rest["items"]] == ["SEM-000"]
    table = (await ask(site, "li", "GET", "/sessions?format=csv")).text.splitlines()
    assert table[0].endswith("maintenance,minutes,gross,allowance,subsidy,net")
    assert table[1].startswith("s3,FUR-002,li,P1,,open,")
    assert table[1].endswith(",False,60,120.00,0.00,20.00,100.00")


async def test_a_session_has_its_charge(site: Site) -> None:
    site.campus.begin("SEM-000", "li")
    charge = (await ask(site, "li", "GET", "/sessions/s1")).json()["charge"]
    assert (charge["net"], charge["minutes"], charge["lines"]) == ("100.00", 60, [])
    assert charge["parts"][1] == {"kind": "idle", "band_percent": 50, "minutes": 10}
