"""The web over a real server: HTTP as other programs and browsers use it."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.unit.web.campus import START_MS, Campus
from tests.unit.web.served import Site, opened
from twin.interface import Health, Instrument
from twin.state import Category


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(Campus(15)) as site:
        yield site


# The catalogue and the twins


async def test_lists_have_one_envelope_and_links(site: Site) -> None:
    first = (await site.http.get("/api/v1/instruments?limit=6&q=e")).json()
    assert (len(first["items"]), first["limit"], first["offset"]) == (6, 6, 0)
    assert first["links"]["previous"] is None
    second = (await site.http.get(first["links"]["next"])).json()
    assert second["offset"] == 6
    assert not {i["code"] for i in first["items"]} & {i["code"] for i in second["items"]}
    assert (await site.http.get(second["links"]["previous"])).json() == first


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ("q=sem", {"SEM-000", "SEM-006", "SEM-012"}),
        ("q=场发射 主楼", {"SEM-000", "SEM-006", "SEM-012"}),
        ("q=nothing", set()),
        ("platform=MICROSCOPY", {"SEM-000", "SEM-006", "SEM-012", "TEM-001", "TEM-007", "TEM-013"}),
        ("platform=CHEMISTRY&connected=false", {"LC-004"}),
        ("platform=ENERGY", set()),
        ("state=unknown", {"TEM-001", "LC-010"}),
    ],
)
async def test_finds_instruments(site: Site, query: str, codes: set[str]) -> None:
    found = (await site.http.get(f"/api/v1/instruments?{query}")).json()
    assert {item["code"] for item in found["items"]} == codes
    assert found["total"] == len(codes)


async def test_a_platform_includes_all_below_it(site: Site) -> None:
    platforms = {i["platform"] for i in (await site.http.get("/api/v1/instruments?platform=ANALYSIS")).json()["items"]}
    assert platforms == {"MATERIALS", "MICROSCOPY", "HEAT"}


async def test_an_instrument_has_the_state_of_its_twin(site: Site) -> None:
    site.campus.change("SEM-000", state=Category.USE)
    assert (await site.http.get("/api/v1/instruments/SEM-000")).json()["state"] == "use"
    assert (await site.http.get("/api/v1/instruments/LC-004")).json()["state"] is None


async def test_twins_are_as_the_contract_says(site: Site) -> None:
    site.campus.change("SEM-000", state=Category.USE, watts=812.5)
    twin = (await site.http.get("/api/v1/twins/SEM-000")).json()
    assert twin["instrument"] == "SEM-000"
    assert twin["controller"] == "c-000"
    assert twin["link"] == "online"
    assert set(twin["power"]) == {"watts", "class", "raw", "since"}
    assert twin["power"]["watts"] == 812.5
    assert twin["relay"] == {"desired": None, "reported": "on"}
    assert {"occupancy", "session", "booking", "alerts", "rev"} <= set(twin)
    listed = (await site.http.get("/api/v1/twins?state=use")).json()
    assert twin in listed["items"]
    assert (await site.http.get("/api/v1/twins")).json()["total"] == 12


async def test_the_ledger_defaults_to_today_where_the_instruments_stand(site: Site) -> None:
    site.campus.clock_ms = START_MS + 10 * 3_600_000  # 18:53 UTC, already the next day in Shanghai
    day = (await site.http.get("/api/v1/twins/SEM-000/ledger")).json()
    assert day["date"] == "2025-10-10"
    assert set(day["segments"][0]) == {"from", "to", "category", "minutes"}
    assert day["total"] == pytest.approx(sum(day["minutes"].values()))
    assert set(day["minutes"]) == {category.value for category in Category}


@pytest.mark.parametrize("how", [{"params": {"format": "csv"}}, {"headers": {"accept": "text/csv"}}])
async def test_the_ledger_comes_as_csv_too(site: Site, how: Any) -> None:
    answer = await site.http.get("/api/v1/twins/SEM-000/ledger", **how)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content.startswith(b"\xef\xbb\xbfinstrument,from,to,category,minutes\r\nSEM-000,")
    assert "ledger-2025-10-09.csv" in answer.headers["content-disposition"]


async def test_a_name_cannot_become_a_formula_in_a_spreadsheet(site: Site) -> None:
    name = '=HYPERLINK("http://x","y")'
    site.campus.add(Instrument("EVIL-1", name, "@SUM(1)", "-2+3", "", "HEAT", "", "1.00", None, None))
    table = (await site.http.get("/api/v1/instruments?format=csv&q=EVIL")).text
    assert '"\'=HYPERLINK(""http://x"",""y"")",\'@SUM(1),\'-2+3,' in table


async def test_power_over_time(site: Site) -> None:
    query: dict[str, str | int] = {"from": "2025-10-09T00:00:00+08:00", "to": "2025-10-09T06:00:00+08:00", "points": 6}
    series = (await site.http.get("/api/v1/twins/SEM-000/power", params=query)).json()
    assert series["from"] == "2025-10-08T16:00:00.000+00:00"
    assert series["step_s"] == 3600
    assert len(series["mean_w"]) == len(series["max_w"]) == 6
    whole = (await site.http.get("/api/v1/twins/SEM-000/power")).json()
    assert whole["from"] == "2025-10-08T08:53:20.000+00:00"


async def test_recent_power_is_read_once_for_many_boards(site: Site) -> None:
    answers = await asyncio.gather(*[site.http.get("/api/v1/power?minutes=60") for _ in range(8)])
    assert {len(row) for row in answers[0].json()["mean_w"].values()} == {60}
    assert site.campus.recent_asked == 1
    site.campus.clock_ms += 10_000
    await site.http.get("/api/v1/power?minutes=60")
    assert site.campus.recent_asked == 2


# Operation


async def test_health_is_503_only_when_down(site: Site) -> None:
    for health, code in ((Health("ok", {}), 200), (Health("degraded", {}), 200), (Health("down", {}), 503)):
        site.campus.health_status = health
        answer = await site.http.get("/health")
        assert (answer.status_code, answer.json()["status"]) == (code, health.status)


async def test_openapi_describes_every_parameter(site: Site) -> None:
    schema = (await site.http.get("/schema/openapi.json")).json()
    operations = [(path, op) for path, item in schema["paths"].items() for op in item.values()]
    assert {"/api/v1/twins/{code}/ledger", "/api/v1/power", "/health", "/api/v1/auth/login"} <= set(schema["paths"])
    for path, operation in operations:
        assert operation["summary"], path
        assert operation.get("description"), path
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), path
    names = {p["name"] for p in schema["paths"]["/api/v1/instruments"]["get"]["parameters"]}
    assert names == {"q", "platform", "state", "connected", "limit", "offset", "format"}


# Problems


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/api/v1/instruments/NOPE", 404, "UNKNOWN_INSTRUMENT"),
        ("GET", "/api/v1/twins/NOPE/ledger", 404, "UNKNOWN_INSTRUMENT"),
        ("GET", "/api/v1/twins/LC-004/power", 404, "NO_CONTROLLER"),
        ("GET", "/api/v1/twins?platform=NOPE", 404, "UNKNOWN_PLATFORM"),
        ("DELETE", "/api/v1/twins", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/api/v1/twins?limit=0", 422, "INVALID_PARAMETER"),
        ("GET", "/api/v1/twins?offset=-1", 422, "INVALID_PARAMETER"),
        ("GET", "/api/v1/twins?state=broken", 422, "INVALID_PARAMETER"),
        ("GET", "/api/v1/twins/SEM-000/ledger?date=yesterday", 422, "INVALID_PARAMETER"),
        ("GET", "/api/v1/twins/SEM-000/power?from=2025-10-09T00:00:00", 422, "INVALID_PARAMETER"),
        ("GET", "/api/v1/twins/SEM-000/power?from=2999-01-01T00:00:00Z", 422, "INVALID_PARAMETER"),
        ("GET", "/api/v1/auth/me", 401, "NOT_SIGNED_IN"),
    ],
)
async def test_problems(site: Site, method: str, path: str, status: int, code: str) -> None:
    answer = await site.http.request(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert all(problem[field] for field in ("title", "detail", "advice"))
    assert problem["instance"] == path.partition("?")[0]


async def test_a_wrong_parameter_is_named_as_the_caller_wrote_it(site: Site) -> None:
    errors = (await site.http.get("/api/v1/twins?state=broken")).json()["errors"]
    assert [error["key"] for error in errors] == ["state"]


async def test_a_failure_of_ours_says_nothing_about_the_inside(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(site.campus, "ledger", fail)
    answer = await site.http.get("/api/v1/twins/SEM-000/ledger")
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/api/v1/twins", "/nothing", "/health", "/", "/api/v1/twins?limit=0"])
async def test_every_answer_carries_the_security_headers(site: Site, path: str) -> None:
    headers = (await site.http.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers


# Pages


async def test_pages_speak_the_language_that_is_liked_best(site: Site) -> None:
    async def language(path: str = "/", **headers: str) -> str:
        return (await site.http.get(path, headers={k.replace("_", "-"): v for k, v in headers.items()})).text

    assert 'lang="en"' in await language(accept_language="de, en;q=0.5, zh;q=0.4")
    assert 'lang="zh-CN"' in await language(accept_language="zh-TW,zh;q=0.9,en;q=0.8")
    assert 'lang="en"' in await language(accept_language="nonsense;q=x,,")
    assert 'lang="zh-CN"' in await language("/?lang=zh", accept_language="en")
    assert 'lang="zh-CN"' in await language(accept_language="en"), "the choice is remembered"


@pytest.mark.parametrize(("path", "text"), [("/instruments/NOPE", "no such instrument"), ("/nothing", "nothing here")])
async def test_people_get_a_page_where_programs_get_a_problem_document(site: Site, path: str, text: str) -> None:
    page = await site.http.get(path, headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert text in page.text
    document = await site.http.get(path, headers={"accept": "application/json"})
    assert (document.status_code, document.headers["content-type"]) == (404, "application/problem+json")


async def test_a_page_holds_no_markup_from_outside(site: Site) -> None:
    name = "</script><script>alert(1)</script>"
    site.campus.add(Instrument("X-001", name, name, name, name, "HEAT", name, "1.00", None, None))
    for path in ("/instruments", "/instruments/X-001", f"/instruments?q={name}", f"/sign-in?next=/{name}"):
        text = (await site.http.get(path)).text
        assert "<script>alert" not in text, path


async def test_static_files_may_be_kept_for_ever(site: Site) -> None:
    address = re.findall(r'src="(/static/[0-9a-f]{12}/board\.js)"', (await site.http.get("/")).text)
    answer = await site.http.get(address[0])
    assert "immutable" in answer.headers["cache-control"]
    assert "javascript" in answer.headers["content-type"]
    assert (await site.http.get("/static/../app.py")).status_code == 404


async def test_signing_in_by_form_leads_back_and_never_elsewhere(site: Site) -> None:
    form = {"username": "manager", "password": "right"}
    answer = await site.http.post("/sign-in", data=form | {"next": "/instruments?q=a"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/instruments?q=a")
    assert "httponly" in answer.headers["set-cookie"].lower()
    site.http.cookies.clear()
    for evil in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert (await site.http.post("/sign-in", data=form | {"next": evil})).headers["location"] == "/"
        site.http.cookies.clear()
    wrong = await site.http.post("/sign-in", data=form | {"password": "wrong"})
    assert (wrong.status_code, "User name or password is wrong" in wrong.text) == (401, True)


# Signing in


async def signed_in(site: Site) -> str:
    answer = await site.http.post("/api/v1/auth/login", json={"username": "manager", "password": "right"})
    token: str = answer.json()["token"]
    return token


async def test_a_token_works_as_bearer_until_it_is_signed_out(site: Site) -> None:
    token = await signed_in(site)
    site.http.cookies.clear()
    bearer = {"authorization": f"Bearer {token}"}
    assert (await site.http.get("/api/v1/auth/me", headers=bearer)).json()["username"] == "manager"
    assert (await site.http.post("/api/v1/auth/logout", headers=bearer)).status_code == 204
    assert (await site.http.get("/api/v1/auth/me", headers=bearer)).status_code == 401


async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(site: Site) -> None:
    answer = await site.http.post("/api/v1/auth/login", json={"username": "manager", "password": "right"})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await site.http.get("/api/v1/auth/me")).json()["role"] == "platform_manager"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example", "authorization": "Bearer x"}, 204),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 204),
    ],
)
async def test_other_sites_cannot_act_with_a_users_cookie(site: Site, headers: dict[str, str], status: int) -> None:
    await signed_in(site)
    answer = await site.http.post("/api/v1/auth/logout", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "FOREIGN_ORIGIN"


async def test_our_own_pages_may_act_with_the_cookie(site: Site) -> None:
    await signed_in(site)
    own = {"origin": f"http://127.0.0.1:{site.port}"}
    assert (await site.http.post("/api/v1/auth/logout", headers=own)).status_code == 204


async def test_guessing_is_braked_and_the_right_password_lets_in_after_the_wait(site: Site) -> None:
    async def attempt(password: str) -> httpx.Response:
        return await site.http.post("/api/v1/auth/login", json={"username": "manager", "password": password})

    assert [(await attempt("wrong")).status_code for _ in range(5)] == [401] * 5
    braked = await attempt("right")
    assert (braked.status_code, braked.json()["code"]) == (429, "TOO_MANY_ATTEMPTS")
    site.campus.clock_ms += 1000 * int(braked.headers["retry-after"])
    assert (await attempt("right")).status_code == 200
