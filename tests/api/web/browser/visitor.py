"""Somebody before a browser: signs in, looks around, and notes whatever goes wrong there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

_AXE: Final = Path(__file__).parent / "vendor" / "axe.js"
# WCAG 2.2, levels A and AA.
_RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@dataclass
class Visitor:
    """A page in a browser of its own, with all that its console and network said."""

    context: BrowserContext
    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def arrive(
        cls,
        browser: Browser,
        url: str,
        token: str | None,
        *,
        width: int = 1280,
        height: int = 900,
        theme: str = "light",
        zone: str = "UTC",
    ) -> Iterator[Self]:
        """Give somebody who has signed in, or stands before the door without a token."""
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, locale="en-GB", timezone_id=zone
        )
        context.add_init_script(path=_AXE)
        page = context.new_page()
        page.set_default_timeout(15_000)
        visitor = cls(context, page, url)
        page.on("console", visitor._hear)
        page.on("pageerror", lambda error: visitor.complaints.append(f"script error: {error}"))
        context.on("request", visitor._follow)
        try:
            if token is not None:
                visitor.sign_in(token)
            yield visitor
        finally:
            context.close()

    def allow(self, status: str) -> None:
        """Take no offence at answers of this status, which the test provokes."""
        self.allowed.append(f"the server responded with a status of {status}")

    def _hear(self, message: ConsoleMessage) -> None:
        if any(words in message.text for words in self.allowed):
            return
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _follow(self, request: Request) -> None:
        target = urlsplit(request.url)
        self.addresses.append(request.url)
        if target.scheme not in ("data", "blob") and target.netloc != urlsplit(self.url).netloc:
            self.strangers.append(request.url)

    def sign_in(self, token: str) -> None:
        """Sign in."""
        self.page.goto(f"{self.url}/ui/sign-in")
        self.page.fill("#token", token)
        self.page.click("#sign-in button[type=submit]")
        self.page.wait_for_url("**/ui/studies")

    def go(self, path: str) -> Page:
        """Open a page and return it once its scripts have run."""
        self.page.goto(self.url + path)
        self.page.wait_for_load_state("load")
        ready = self.page.locator("[data-ready=yes]")
        if path.startswith(("/ui/studies/", "/ui/trials/")) and self.page.locator("#study, #trial").count():
            ready.wait_for(state="attached")
        return self.page

    def wait_s(self, selector: str, text: str) -> float:
        """Return after how many seconds the first such element holds the text; looks every few milliseconds.

        Raises:
            AssertionError: Not within ten seconds.
        """
        began = time.monotonic()
        place = self.page.locator(selector).first
        while (waited := time.monotonic() - began) < 10:
            if place.count() and text in place.inner_text():
                return waited
            self.page.wait_for_timeout(5)
        msg = f"{selector} never held {text!r}"
        raise AssertionError(msg)

    def scroll_through(self) -> None:
        """Bring everything into sight once, so that all charts are drawn."""
        beyond = "scrollBy(0, 500), document.documentElement.scrollHeight - innerHeight - scrollY"
        for _ in range(60):
            self.page.wait_for_timeout(60)
            if self.page.evaluate(beyond) < 2:
                break
        self.page.wait_for_timeout(60)
        self.page.evaluate("scrollTo(0, 0)")

    def width_beyond(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        beyond: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return beyond

    def barriers(self) -> list[str]:
        """Return what keeps people out, as axe finds it by WCAG 2.2 AA, with the elements at fault."""
        options = {"resultTypes": ["violations"], "runOnly": _RULES}
        found: dict[str, Any] = self.page.evaluate("(options) => axe.run(document, options)", options)
        return [
            f"{finding['id']} ({finding['impact']}): {node['target']} {node.get('failureSummary', '')[:300]}"
            for finding in found["violations"]
            for node in finding["nodes"]
        ]

    def assert_calm(self) -> None:
        """See that the console stayed empty and no other server was asked for anything."""
        assert not self.complaints, self.complaints
        assert not self.strangers, self.strangers
