"""A real server, a real browser, and what is wrong with a page: fixtures of the browser tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.api.web.browser.chromium import NoBrowserError, launched
from tests.api.web.browser.scene import Scene, set_up
from tests.api.web.browser.visitor import Visitor
from tests.processes import address_of, hpsearch, running
from tests.required import lacking


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, as the machine has it; one for each file.

    Playwright keeps an event loop running in this thread until it is closed. Were it to stay open for the session,
    tests of other files in the same process could not run theirs.
    """
    with sync_playwright() as playwright:
        try:
            found = launched(playwright)
        except NoBrowserError as error:
            lacking("BROWSER", str(error))
        yield found
        found.close()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A running server with a finished study, one under way, and names that mean harm."""
    folder = tmp_path_factory.mktemp("browser") / "data"
    prepared = set_up(folder)
    log = folder.parent / "server.log"
    command = hpsearch("serve", "--port", "0", "--data-dir", str(folder))
    with running(command, log) as server, Scene.open(prepared, address_of(folder, server, log), folder) as opened:
        yield opened


@pytest.fixture
def visitor(browser: Browser, scene: Scene) -> Iterator[Visitor]:
    """Somebody signed in, before a screen of usual size; afterwards nothing may have gone wrong in the browser."""
    with Visitor.arrive(browser, scene.url, scene.token) as arrived:
        yield arrived
        arrived.assert_calm()
