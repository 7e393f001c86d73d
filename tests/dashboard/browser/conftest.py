"""A real browser before the office: headless Chromium, signed in as the manager of a community where all is well."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import BrowserContext, Page

    from tests.dashboard.conftest import Browser, Field, Running

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


@pytest.fixture(scope="module")
def chromium() -> "Iterator[Chromium]":
    """One Chromium for the file: its loop runs as long as it does, and no other may."""
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture
def context(chromium: "Chromium") -> "Iterator[BrowserContext]":
    """A person's browser, in English."""
    made = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    made.set_default_timeout(15_000)
    expect.set_options(timeout=15_000)
    yield made
    made.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained of."""
    return []


@pytest.fixture
def page(
    context: "BrowserContext", running: "Running", field: "Field", browser: "Browser", complaints: list[str]
) -> "Iterator[Page]":
    """Signed in as the manager, on the Now page of a community where all is well."""
    field.all_well()
    made = context.new_page()
    made.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    made.on("pageerror", lambda error: complaints.append(str(error)))
    context.add_cookies([{"name": "zhian", "value": browser.enter("manager"), "url": running.url}])
    made.goto(running.url)
    made.wait_for_selector("text=All watched, nothing to do.")
    made.wait_for_selector("#live-word:has-text('live')")
    yield made
    made.close()
    assert complaints == []
