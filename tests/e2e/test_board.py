"""The pages in a real browser, over a real server and a campus that changes when told to."""

import re
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, Locator, Page, WebSocketRoute, expect

from tests.unit.web.campus import START_MS, Campus
from tests.unit.web.served import Site, opened
from twin.interface import Health, Instrument
from twin.state import Category


def tile(page: Page, code: str) -> Locator:
    return page.locator(f"twin-tile:has(a[href='/instruments/{code}'])")


async def shown_codes(page: Page) -> set[str]:
    links = await page.locator("twin-tile:visible a").evaluate_all("links => links.map(a => a.pathname)")
    return {path.rpartition("/")[2] for path in links}


async def test_shows_a_tile_for_every_twin(page: Page, site: Site) -> None:
    await page.goto("/")
    await expect(page.locator("twin-tile:visible")).to_have_count(12)
    one = tile(page, "SEM-000")
    await expect(one).to_contain_text("Field-emission SEM")
    await expect(one).to_contain_text("SEM-000 · 主楼 300")
    await expect(one.locator(".spark-line")).to_have_attribute("d", re.compile("^M0.0 .*L60.0"))
    await expect(page.get_by_role("link", name="3 listed instruments have no controller")).to_be_visible()


async def test_a_change_is_on_the_screen_and_no_tile_is_built_anew(page: Page, site: Site) -> None:
    await page.goto("/")
    one = tile(page, "SEM-000")
    await expect(one).to_contain_text("Maintenance")
    element = await one.element_handle()
    site.campus.change("SEM-000", state=Category.USE, watts=4321)
    await expect(one.locator(".tile-watts")).to_have_text("4,321")
    await expect(one.locator(".tile-state")).to_have_text("In use")
    await expect(one.locator(".sign use")).to_have_attribute("href", "#sign-use")
    assert element is not None
    assert await element.evaluate("tile => tile.isConnected"), "the tile was built anew"


async def test_totals_follow_the_states(page: Page, site: Site) -> None:
    await page.goto("/")
    use = page.locator(".total[data-state=use] b")
    await expect(use).to_have_text("2")
    site.campus.change("SEM-000", state=Category.USE)
    await expect(use).to_have_text("3")


async def test_a_silent_instrument_is_marked_stale(page: Page, site: Site) -> None:
    await page.goto("/")
    one = tile(page, "SEM-000")
    await expect(one.locator(".tile-stale")).to_be_hidden()
    site.campus.change("SEM-000", state=Category.UNKNOWN)
    await expect(one.locator(".tile-stale")).to_contain_text("last heard")


async def test_filters_by_platform_and_state_and_the_address_says_so(page: Page, site: Site) -> None:
    await page.goto("/")
    await expect(page.locator("twin-tile:visible")).to_have_count(12)
    await page.get_by_label("Platform").select_option("CHEMISTRY")
    assert await shown_codes(page) == {"NMR-005", "LC-010", "NMR-011"}
    await page.get_by_role("button", name="Unknown").click()
    assert await shown_codes(page) == {"LC-010"}
    assert page.url == f"{site.url}/?platform=CHEMISTRY&state=unknown"
    await page.reload()
    await expect(page.locator("twin-tile:visible")).to_have_count(1)
    await expect(page.locator("#shown")).to_have_text("1 of 12 shown")
    site.campus.change("LC-010", state=Category.OFF)
    await expect(page.get_by_text("No instrument matches.")).to_be_visible()
    await page.get_by_role("button", name="Show all").click()
    await expect(page.locator("twin-tile:visible")).to_have_count(12)


async def test_searches_in_both_languages(page: Page, site: Site) -> None:
    await page.goto("/")
    await expect(page.locator("twin-tile:visible")).to_have_count(12)
    await page.keyboard.press("/")
    await page.keyboard.type("透射")
    assert await shown_codes(page) == {"TEM-001", "TEM-007", "TEM-013"}
    await page.get_by_role("searchbox").fill("furnace fur-008")
    assert await shown_codes(page) == {"FUR-008"}
    await page.keyboard.press("Escape")
    await page.keyboard.press("Escape")
    await expect(page.locator("twin-tile:visible")).to_have_count(12)


async def test_goes_by_keyboard_from_tile_to_tile_and_into_one(page: Page, site: Site) -> None:
    await page.goto("/")
    await expect(page.locator("twin-tile:visible")).to_have_count(12)
    codes = await page.locator("twin-tile a").evaluate_all("links => links.map(a => a.pathname)")
    columns = await page.evaluate(
        "getComputedStyle(document.getElementById('tiles')).gridTemplateColumns.split(' ').length"
    )
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft"):
        await page.keyboard.press(key)
    assert await page.evaluate("document.activeElement.pathname") == codes[columns]
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**{codes[columns]}")


async def test_the_help_opens_and_closes(page: Page, site: Site) -> None:
    await page.goto("/")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()


async def test_speaks_chinese_when_asked_and_remembers(page: Page, site: Site) -> None:
    await page.goto("/?platform=HEAT")
    await page.get_by_role("link", name="中文").click()
    await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    await expect(tile(page, "FUR-002")).to_contain_text("箱式气氛炉")
    await expect(page.locator("twin-tile:visible")).to_have_count(2)
    assert page.url == f"{site.url}/?platform=HEAT"
    await page.goto("/instruments")
    await expect(page.get_by_role("heading", name="仪器目录")).to_be_visible()


async def test_a_chinese_browser_is_answered_in_chinese(browser: Browser, site: Site) -> None:
    context = await browser.new_context(base_url=site.url, locale="zh-CN")
    page = await context.new_page()
    await page.goto("/")
    await expect(page.get_by_role("searchbox")).to_have_attribute("placeholder", "搜索名称、编号、地点")
    await context.close()


async def test_dark_stays_dark(page: Page, site: Site) -> None:
    await page.goto("/")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = await page.evaluate(ground)
    await page.get_by_role("button", name="Light or dark").click()
    dark = await page.evaluate(ground)
    assert dark != light
    await page.reload()
    assert await page.evaluate(ground) == dark


async def test_a_lost_connection_is_told_and_made_good(page: Page, site: Site) -> None:
    await page.goto("/")
    one = tile(page, "SEM-000")
    await expect(one).to_contain_text("Maintenance")
    await site.stop()
    await expect(page.get_by_role("alert")).to_contain_text("Connection lost")
    site.campus.change("SEM-000", state=Category.USE, watts=77)
    site.campus.remove("TEM-001")
    site.campus.add(Instrument("AAA-001", "新", "New one", "", "", "HEAT", "", "1.00", None, "c-new"))
    await site.start()
    await expect(page.locator("#notice")).to_be_hidden()
    await expect(one.locator(".tile-watts")).to_have_text("77")
    await expect(tile(page, "TEM-001")).to_have_count(0)
    await expect(page.locator("twin-tile").first).to_contain_text("New one")


@pytest.mark.parametrize(
    ("status", "components", "words"),
    [
        ("down", {"database": {"status": "down"}, "broker": {"status": "ok"}}, "database cannot be reached"),
        ("degraded", {"database": {"status": "ok"}, "broker": {"status": "down"}}, "broker cannot be reached"),
        ("degraded", {"database": {"status": "ok"}, "broker": {"status": "ok"}}, "42 s behind"),
    ],
)
async def test_a_service_that_is_not_well_says_so(
    page: Page, site: Site, status: str, components: dict[str, Any], words: str
) -> None:
    well = site.campus.health_status
    site.campus.health_status = msgspec.convert(
        {"status": status, "components": components | {"inbox": {"behind_s": 41.7}}}, Health
    )
    await page.clock.install()
    await page.goto("/")
    await expect(page.locator("#health")).to_contain_text(words)
    site.campus.health_status = well
    await page.clock.run_for(11_000)
    await expect(page.locator("#health")).to_be_hidden()


async def test_a_gap_is_noticed_and_leads_to_a_new_snapshot(page: Page, site: Site) -> None:
    sockets: list[int] = []

    async def lose_one(socket: WebSocketRoute) -> None:
        sockets.append(1)
        server = socket.connect_to_server()
        seen: list[str | bytes] = []

        def pass_on(frame: str | bytes) -> None:
            seen.append(frame)
            if len(sockets) > 1 or len(seen) != 2:
                socket.send(frame)

        server.on_message(pass_on)

    await page.route_web_socket("**/ws/board*", lose_one)
    await page.goto("/")
    await expect(page.locator("twin-tile:visible")).to_have_count(12)
    site.campus.change("SEM-000", watts=11)
    await expect(tile(page, "SEM-000").locator(".tile-watts")).not_to_have_text("11")
    site.campus.change("TEM-007", watts=12)
    await expect(tile(page, "SEM-000").locator(".tile-watts")).to_have_text("11")
    await expect(tile(page, "TEM-007").locator(".tile-watts")).to_have_text("12")
    assert len(sockets) == 2


async def test_a_name_is_text_and_never_markup(page: Page, site: Site) -> None:
    name = "<script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"
    site.campus.add(Instrument("EVIL-001", name, name, name, name, "HEAT", name, "1.00", None, "c-evil"))
    for path in ("/", "/instruments", "/instruments/EVIL-001", "/instruments?q=onerror%3D%22document"):
        await page.goto(path)
        await expect(page.get_by_text(name).first).to_be_visible()
        assert await page.title() != "broken"


async def test_the_wall_shows_page_after_page(browser: Browser) -> None:
    async with opened(Campus(120)) as site:
        context = await browser.new_context(base_url=site.url, locale="en-GB", viewport={"width": 1920, "height": 1080})
        page = await context.new_page()
        await page.clock.install()
        await page.goto("/?wall=1")
        await expect(page.locator(".wall-page")).to_have_text("page 1 of 3")
        first = await shown_codes(page)
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        await expect(page.get_by_role("searchbox")).to_be_hidden()
        await page.clock.run_for(12_500)
        await expect(page.locator(".wall-page")).to_have_text("page 2 of 3")
        assert not first & await shown_codes(page)
        await context.close()


async def test_an_instrument_lives_on_its_own_page(page: Page, site: Site) -> None:
    await page.goto("/instruments/SEM-000")
    await expect(page.get_by_role("heading", name="Field-emission SEM")).to_be_visible()
    now = page.locator("#now")
    await expect(now).to_contain_text("Maintenance")
    site.campus.change("TEM-001", watts=1)
    site.campus.change("SEM-000", state=Category.USE, watts=4321)
    await expect(now).to_contain_text("4,321 W")
    await expect(now).to_contain_text("In use")
    await expect(page.locator("power-chart .chart-mean")).to_have_attribute("d", re.compile("^M.*L"))


async def test_the_chart_is_read_by_keyboard(page: Page, site: Site) -> None:
    await page.goto("/instruments/SEM-000")
    await expect(page.locator("power-chart .chart-mean")).to_be_visible()
    await page.locator("power-chart").focus()
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator(".chart-tip")).to_contain_text(re.compile(r"mean [\d,.]+ k?W, highest"))


async def test_the_day_in_the_ledger_and_the_day_before(page: Page, site: Site) -> None:
    await page.goto("/instruments/SEM-000")
    ledger = page.locator("#ledger")
    await expect(ledger.get_by_role("row", name=re.compile("08:12:00 11:24:00 In use 192.0"))).to_be_visible()
    await ledger.get_by_role("link", name="← 2025-10-08").click()
    await expect(ledger.get_by_role("row", name=re.compile("^Total"))).to_contain_text("1440.0")
    await expect(ledger.get_by_role("link", name="2025-10-09 →")).to_be_visible()


async def test_todays_ledger_grows_on_the_open_page(page: Page, site: Site) -> None:
    await page.clock.install()
    await page.goto("/instruments/SEM-000")
    total = page.locator("#ledger tfoot")
    await expect(total).to_contain_text("1013.3")
    site.campus.clock_ms = START_MS + 3_600_000
    await page.clock.run_for(61_000)
    await expect(total).to_contain_text("1073.3")


async def test_an_instrument_without_controller_has_facts_only(page: Page, site: Site) -> None:
    await page.goto("/instruments/LC-004")
    await expect(page.get_by_text("This instrument has no controller")).to_be_visible()
    await expect(page.locator("#ledger, power-chart")).to_have_count(0)


async def test_signs_in_and_out(page: Page, site: Site) -> None:
    await page.goto("/instruments")
    await page.get_by_role("link", name="Sign in").click()
    await page.get_by_label("User name").fill("manager")
    await page.get_by_label("Password").fill("right")
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url("**/instruments")
    await expect(page.get_by_text("张晓华")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("link", name="Sign in")).to_be_visible()


async def test_the_catalogue_is_searched_and_paged(page: Page, browser: Browser) -> None:
    async with opened(Campus(120)) as site:
        await page.goto(f"{site.url}/instruments")
        await expect(page.get_by_text("1 – 50 of 120")).to_be_visible()
        await page.get_by_role("link", name="Next").click()
        await expect(page.get_by_text("51 – 100 of 120")).to_be_visible()
        await page.get_by_label("Controller").select_option("false")
        await page.get_by_role("button", name="Search").click()
        await expect(page.get_by_text("1 – 24 of 24")).to_be_visible()


async def test_a_phone_needs_no_sideways_scrolling(browser: Browser, site: Site) -> None:
    context = await browser.new_context(base_url=site.url, viewport={"width": 390, "height": 844}, locale="zh-CN")
    page = await context.new_page()
    for path in ("/", "/instruments/SEM-000", "/instruments", "/sign-in"):
        await page.goto(path)
        await page.wait_for_load_state("networkidle")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390, path
    await context.close()
