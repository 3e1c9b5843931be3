"""What people see and do on the pages about sessions and alerts: words, buttons and forms as their rights allow."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from tests.unit.web.campus import START_MS, Campus
from tests.unit.web.served import Site, opened
from twin.interface import ConflictView
from twin.permission import AccessCode, Opened, SessionEnded


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(Campus(15)) as site:
        yield site


async def browse(site: Site, user: str | None, path: str, form: Any = None, **headers: str) -> httpx.Response:
    """A page as somebody's browser asks for it, or sends a form to it."""
    headers |= {"accept": "text/html", "origin": site.url}
    if user is not None:
        headers["cookie"] = f"twin_session={await site.campus.sign_in(user, 'right')}"
    method = "GET" if form is None else "POST"
    return await site.http.request(method, path, headers=headers, data=form)


async def page(site: Site, user: str | None, path: str, **headers: str) -> str:
    answer = await browse(site, user, path, **headers)
    assert answer.status_code == 200
    return answer.text


BUTTONS = ("Unlock</button>", "End session</button>", "Emergency stop</summary>", "Acknowledge</button>")


@pytest.mark.parametrize(
    ("user", "sees_who", "buttons"),
    [
        (None, False, ()),
        ("li", True, ("End session</button>",)),
        ("wang", False, ()),
        ("dean", False, ()),
        ("guard", False, ("Emergency stop</summary>", "Acknowledge</button>")),
        ("keeper", True, ("End session</button>", "Emergency stop</summary>", "Acknowledge</button>")),
        ("manager", True, ("End session</button>", "Emergency stop</summary>", "Acknowledge</button>")),
    ],
)
async def test_a_running_session_as_rights_allow(
    site: Site,
    user: str | None,
    sees_who: bool,  # noqa: FBT001
    buttons: tuple[str, ...],
) -> None:
    site.campus.begin("SEM-000", "li", ago_min=30)
    site.campus.fire("SEM-000")
    if user != "li":
        site.campus.refuse("SEM-000", 9, AccessCode.IN_USE, SessionEnded(None))
    text = await page(site, user, "/instruments/SEM-000")
    assert "<b>In use</b>" in text
    assert "since 16:23" in text
    assert "until 18:53" in text
    assert "Session without use" in text
    assert ("<dd>li</dd>" in text) is sees_who
    assert tuple(button for button in BUTTONS if button in text) == buttons


async def test_a_group_may_end_its_session_without_being_told_who_it_is(site: Site) -> None:
    site.campus.begin("SEM-000", "li")
    text = await page(site, "wang", "/instruments/SEM-000")
    assert "End session</button>" in text
    assert "<dd>li</dd>" not in text


async def test_the_cost_is_for_those_whose_it_is(site: Site) -> None:
    site.campus.begin("SEM-000", "li")
    assert "<b>100.00</b> CNY" in await page(site, "li", "/instruments/SEM-000")
    assert "<b>100.00</b> CNY" not in await page(site, None, "/instruments/SEM-000")


async def test_unlocking_by_form_says_what_came_of_it(site: Site) -> None:
    assert BUTTONS[0] in await page(site, "li", "/instruments/SEM-000")
    answer = await browse(site, "li", "/instruments/SEM-000/unlock", {"override_reason": ""})
    assert (answer.status_code, answer.headers["location"]) == (303, "/instruments/SEM-000?outcome=granted#session")
    assert site.campus.held["s1"].user == "li"
    assert "Granted." in await page(site, "li", "/instruments/SEM-000?outcome=granted")
    ended = await browse(site, "li", "/instruments/SEM-000/lock", {})
    assert ended.headers["location"].endswith("?outcome=ended#session")
    assert site.campus.running("SEM-000") is None


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("You cannot unlock it now.", "It is outside the opening hours.", "Opens at 17:53.")),
        ("zh", ("您现在不能开机。", "不在开放时间内。", "17:53 开放。")),
    ],
)
async def test_a_refusal_says_why_and_what_would_change_it(site: Site, language: str, words: tuple[str, ...]) -> None:
    site.campus.refuse("SEM-000", 8, AccessCode.CLOSED_HOURS, Opened(START_MS + 3_600_000))
    answer = await browse(site, "li", "/instruments/SEM-000/unlock", {})
    assert answer.headers["location"].endswith("?outcome=denied#session")
    text = await page(site, "li", "/instruments/SEM-000?outcome=denied", **{"accept-language": language})
    assert all(each in text for each in words)
    assert BUTTONS[0] not in text
    assert 'name="override_reason"' not in text


async def test_staff_may_go_ahead_for_a_reason(site: Site) -> None:
    site.campus.refuse("SEM-000", 8, AccessCode.CLOSED_HOURS, Opened(None))
    assert 'name="override_reason"' in await page(site, "keeper", "/instruments/SEM-000")
    wishes = []
    unlock = site.campus.unlock

    async def note(person: Any, code: str, wish: Any) -> Any:
        wishes.append(wish)
        return await unlock(person, code, wish)

    site.campus.unlock = note  # type: ignore[method-assign]  # to see what the form becomes
    form = {"override_reason": " a leak ", "maintenance": "true"}
    assert (await browse(site, "keeper", "/instruments/SEM-000/unlock", form)).status_code == 303
    assert (wishes[0].override_reason, wishes[0].maintenance) == ("a leak", True)


async def test_an_emergency_stop_by_form(site: Site) -> None:
    answer = await browse(site, "guard", "/instruments/SEM-000/lock", {"emergency": "true"})
    assert answer.headers["location"].endswith("?outcome=stopped#session")
    assert site.campus.locks == [("guard", "SEM-000", False, True)]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/instruments/SEM-000/unlock", {}),
        ("/instruments/SEM-000/lock", {"emergency": "true"}),
        ("/alerts/a1/acknowledge", {}),
        ("/alerts/a1/resolve", {}),
        ("/alerts/silences", {"reason": "x"}),
    ],
)
async def test_forms_of_other_sites_and_of_nobody_change_nothing(site: Site, path: str, form: dict[str, str]) -> None:
    site.campus.fire("SEM-000")
    token = await site.campus.sign_in("manager", "right")
    foreign = {"cookie": f"twin_session={token}", "origin": "http://evil.example"}
    assert (await site.http.post(path, headers=foreign, data=form)).status_code == 403
    nobody = await browse(site, None, path, form)
    assert (nobody.status_code, nobody.headers["location"].partition("?")[0]) == (303, "/sign-in")
    site.campus.is_recording = False
    unrecorded = await browse(site, "manager", path, form)
    assert (unrecorded.status_code, "It could not be recorded" in unrecorded.text) == (503, True)
    assert (site.campus.held, site.campus.locks, site.campus.silences) == ({}, [], [])
    assert site.campus.firing["a1"].acknowledged is None


async def test_an_account_that_the_rules_do_not_know(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.campus, "access", lambda *_: None)
    text = await page(site, "li", "/instruments/SEM-000")
    assert "not registered as a user of instruments" in text
    assert BUTTONS[0] not in text


# Alerts


async def test_the_list_of_alerts_is_for_those_who_see_to_them(site: Site) -> None:
    signed_out = await browse(site, None, "/alerts")
    assert (signed_out.status_code, signed_out.headers["location"]) == (303, "/sign-in?next=%2Falerts")
    refused = await browse(site, "li", "/alerts")
    assert (refused.status_code, "This is not allowed" in refused.text) == (403, True)
    assert 'href="/alerts"' not in await page(site, "li", "/")
    assert 'href="/alerts"' in await page(site, "guard", "/")


async def test_alerts_are_listed_filtered_and_empty_in_words(site: Site) -> None:
    assert "All quiet." in await page(site, "guard", "/alerts")
    site.campus.fire("SEM-000")
    site.campus.fire(None, "SITE_OFFLINE", "critical")
    text = await page(site, "guard", "/alerts")
    assert text.index("the whole site") < text.index('href="/instruments/SEM-000"')
    assert "Resolve</button>" not in text
    assert "No alert matches." in await page(site, "guard", "/alerts?severity=warning")
    assert "No alert has been recorded yet." in await page(site, "guard", "/alerts?state=resolved")
    site.campus.clear("a1")
    assert "16:48</time> – <time" in await page(site, "guard", "/alerts?state=resolved")


async def test_a_conflict_says_what_does_not_agree(site: Site) -> None:
    alert = site.campus.fire("SEM-000", "OFFLINE_CONFLICT", "warning")
    conflicts = (ConflictView("revoked", alert.since, "li"), ConflictView("unknown_card", alert.since, None))
    site.campus.firing[alert.id] = msgspec.structs.replace(alert, conflicts=conflicts)
    english = await page(site, "guard", "/alerts")
    assert "let in by a permission that had been withdrawn · li" in english
    assert "let in an unknown card" in english
    chinese = await page(site, "guard", "/alerts", **{"accept-language": "zh-CN"})
    assert "离线期间的使用与记录冲突" in chinese
    assert "凭已撤销的授权放行 · li" in chinese


async def test_alerts_are_answered_by_form_and_lead_back(site: Site) -> None:
    site.campus.fire("SEM-000")
    answer = await browse(site, "guard", "/alerts/a1/acknowledge", {"next": "/instruments/SEM-000#alerts"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/instruments/SEM-000#alerts")
    assert "guard sees to it since 16:53" in await page(site, "guard", "/alerts")
    evil = await browse(site, "keeper", "/alerts/a1/resolve", {"next": "//evil.example"})
    assert evil.headers["location"] == "/"
    assert (await browse(site, "keeper", "/alerts/a1/resolve", {})).status_code == 404


async def test_silencing_for_an_hour(site: Site) -> None:
    site.campus.fire("SEM-000")
    form = {"reason": "test run", "instrument": "SEM-000", "kind": "IDLE_SESSION"}
    assert (await browse(site, "keeper", "/alerts/silences", form)).headers["location"] == "/alerts"
    (silence,) = site.campus.silences
    assert (silence.until, silence.author, silence.kind) == (
        "2025-10-09T09:53:20.000+00:00",
        "keeper",
        "IDLE_SESSION",
    )
    assert (await browse(site, "keeper", "/alerts/silences", form | {"reason": ""})).status_code == 422


# Sessions


async def test_sessions_are_listed_and_filtered(site: Site) -> None:
    assert "There has been no session yet." in await page(site, "li", "/sessions")
    site.campus.begin("SEM-000", "li", ago_min=90)
    site.campus.end(site.campus.begin("FUR-002", "wang", ago_min=3000), "IDLE")
    text = await page(site, "manager", "/sessions")
    assert "FUR-002" in text
    assert "nobody used it" in text
    assert 'name="user"' in text
    assert 'name="user"' not in await page(site, "li", "/sessions")
    filtered = await page(site, "manager", "/sessions?from=2025-10-09&to=2025-10-09&state=open&user=li&instrument=")
    assert "SEM-000</a>" in filtered
    assert "FUR-002" not in filtered
    assert "from=2025-10-09T00%3A00%3A00%2B08%3A00&amp;to=2025-10-10T00%3A00%3A00%2B08%3A00" in filtered
    assert "No session matches." in await page(site, "manager", "/sessions?state=void&from=nonsense")


async def test_a_session_has_its_minutes_and_lines(site: Site) -> None:
    site.campus.end(site.campus.begin("SEM-000", "li", ago_min=60), "USER")
    text = await page(site, "li", "/sessions/s1")
    assert "ended by its user" in text
    assert "2025-10-09 16:53" in text
    assert "Account entries" in text
    assert text.count('<td class="number">100.00</td>') == 2
    assert "−20.00" in text
    assert (await browse(site, "wang", "/sessions/s1")).status_code == 403
    veiled = await page(site, "dean", "/sessions/s1")
    assert "<dd>-</dd>" in veiled
    assert "keeper" not in veiled


async def test_latest_sessions_stand_on_the_instruments_page(site: Site) -> None:
    site.campus.end(site.campus.begin("SEM-000", "wang", ago_min=60), "USER")
    assert "<td>wang</td>" in await page(site, "keeper", "/instruments/SEM-000")
    assert "<td>wang</td>" not in await page(site, "li", "/instruments/SEM-000")
    assert "Latest sessions" not in await page(site, None, "/instruments/SEM-000")
