"""Sessions and alerts in a real browser: what happens is on the screen at once, and what is pressed happens."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.unit.web.served import Site
from twin.permission import AccessCode, Opened


async def sign_in(page: Page, site: Site, username: str) -> None:
    token = await site.campus.sign_in(username, "right")
    assert token is not None
    await page.context.add_cookies([{"name": "twin_session", "value": token, "url": site.url}])


async def test_a_tile_shows_session_and_alerts_as_they_come_and_go(page: Page, site: Site) -> None:
    await page.goto("/")
    tile = page.locator("twin-tile:has(a[href='/instruments/SEM-000'])")
    await expect(tile.locator(".bell")).to_be_hidden()
    session = site.campus.begin("SEM-000", "li", due_min=60)
    await expect(tile.locator(".tile-session")).to_have_text(re.compile(r"session since .*16:53 · until .*17:53"))
    site.campus.fire("SEM-000")
    site.campus.fire("SEM-000", "POWER_WITH_RELAY_OFF", "critical")
    await expect(tile.locator(".tile-alerts")).to_have_text("2")
    await expect(tile.locator(".bell use")).to_have_attribute("href", "#alert-critical")
    site.campus.end(session, "USER")
    await expect(tile.locator(".tile-session")).to_have_text("")
    assert "li" not in re.findall(r"\w+", await tile.inner_text())


async def test_unlocking_and_ending_on_a_phone(page: Page, site: Site) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await sign_in(page, site, "li")
    await page.goto("/instruments/SEM-000")
    await page.get_by_role("button", name="Unlock").click()
    await expect(page.get_by_role("button", name="End session")).to_be_in_viewport()
    await expect(page.locator("#session")).to_contain_text("100.00 CNY")
    await expect(page).to_have_url(re.compile(r"/instruments/SEM-000#session$"))
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await page.get_by_role("button", name="End session").click()
    await expect(page.get_by_role("button", name="Unlock")).to_be_visible()
    assert [session.reason for session in site.campus.held.values()] == ["USER"]


async def test_a_refusal_is_explained_and_goes_when_its_cause_goes(page: Page, site: Site) -> None:
    site.campus.refuse("SEM-000", 8, AccessCode.CLOSED_HOURS, Opened(None))
    await sign_in(page, site, "li")
    await page.goto("/instruments/SEM-000")
    await expect(page.locator("#session")).to_contain_text("It is outside the opening hours.")
    site.campus.refused.clear()
    site.campus.fire("SEM-000")
    await expect(page.get_by_role("button", name="Unlock")).to_be_visible()
    await expect(page.locator("#alerts")).to_contain_text("Session without use")


@pytest.mark.parametrize("how", ["pointer", "keyboard"])
async def test_an_alert_appears_and_is_acknowledged(page: Page, site: Site, how: str) -> None:
    await sign_in(page, site, "guard")
    await page.goto("/alerts")
    await expect(page.get_by_text("All quiet.")).to_be_visible()
    await expect(page.locator("#line")).to_have_text("Live")
    site.campus.fire("FUR-002", "POWER_WITHOUT_SESSION", "critical")
    button = page.get_by_role("button", name="Acknowledge")
    await expect(button).to_be_visible()
    if how == "pointer":
        await button.click()
    else:
        await button.focus()
        await page.keyboard.press("Enter")
    await expect(page.get_by_text("guard sees to it since")).to_be_visible()
    site.campus.clear("a1")
    await expect(page.get_by_text("All quiet.")).to_be_visible()


async def test_what_somebody_writes_is_not_taken_from_under_their_hands(page: Page, site: Site) -> None:
    site.campus.fire("SEM-000")
    await sign_in(page, site, "keeper")
    await page.goto("/alerts")
    await page.locator("summary", has_text="Silence").click()
    await page.get_by_label("Reason").fill("a test run")
    site.campus.fire("TEM-001", "CLOCK_SKEW", "warning")
    await expect(page.get_by_label("Reason")).to_have_value("a test run")
    await page.get_by_role("button", name="Silence for 1 h").click()
    await expect(page.locator("#alerts")).to_contain_text("Controller's clock is wrong")
    assert [silence.reason for silence in site.campus.silences] == ["a test run"]


async def test_who_is_signed_out_leaves_the_list(page: Page, site: Site) -> None:
    token = await site.campus.sign_in("guard", "right")
    assert token is not None
    await page.context.add_cookies([{"name": "twin_session", "value": token, "url": site.url}])
    await page.goto("/alerts")
    await expect(page.locator("#line")).to_have_text("Live")
    await site.campus.sign_out(token)
    await site.stop()
    await site.start()
    await expect(page).to_have_url(re.compile(r"/sign-in"), timeout=15_000)
