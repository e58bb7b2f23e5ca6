"""The browser of the tests: Chromium as the machine has it."""

from __future__ import annotations

import shutil
from typing import Final

from playwright.sync_api import Browser, Playwright

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the pages under test is to be fetched, and a machine without a screen must do.
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip


class NoBrowserError(Exception):
    """There is no browser on this machine."""


def launched(playwright: Playwright) -> Browser:
    """Return a started browser.

    Raises:
        NoBrowserError: There is none.
    """
    path = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if path is None:
        msg = "THE BROWSER TESTS DID NOT RUN: no chromium on PATH (on Debian and Ubuntu: apt-get install chromium)"
        raise NoBrowserError(msg)
    return playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
