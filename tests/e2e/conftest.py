"""A campus on a real server, and a browser before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.chromium import FLAGS
from tests.unit.web.campus import Campus
from tests.unit.web.served import Site, opened

expect.set_options(timeout=30_000)


@pytest.fixture(scope="module")
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with opened(Campus(15)) as site:
        yield site


@pytest.fixture
async def page(browser: Browser, site: Site) -> AsyncIterator[Page]:
    """A page in English; the test fails if the browser complains of anything, the content policy above all."""
    context = await browser.new_context(base_url=site.url, locale="en-GB", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(30_000)
    page = await context.new_page()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        asked_health = message.location["url"].endswith("/health")  # which answers 503, or not at all, where it is told
        expected = site.has_been_away and "ERR_CONNECTION_REFUSED" in message.text
        if message.type == "error" and "WebSocket connection" not in message.text and not (asked_health or expected):
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    await context.close()
    assert complaints == []
