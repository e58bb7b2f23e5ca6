"""Instants are shown in the zone of whoever looks, with the exact one on hover."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from playwright.sync_api import Browser

from tests.api.web.browser.scene import Scene
from tests.api.web.browser.visitor import Visitor

_TOKYO = timedelta(hours=9)


def test_times_are_those_of_the_viewer(browser: Browser, scene: Scene) -> None:
    with Visitor.arrive(browser, scene.url, scene.token, zone="Asia/Tokyo") as visitor:
        page = visitor.go(f"/ui/trials/{scene.failed_trial}")
        begun = page.locator("#now time[data-time=instant]").first
        at = datetime.fromisoformat(begun.get_attribute("datetime") or "")
        assert f"{at + _TOKYO:%H:%M}" in begun.inner_text()
        title = begun.get_attribute("title") or ""
        assert f"{at + _TOKYO:%H:%M:%S}.{at.microsecond // 1000:03d}" in title
        assert "GMT+9" in title

        page = visitor.go("/ui/studies")
        made = page.locator("table.studies time").last
        assert re.search(r"ago|now", made.inner_text())
        assert "GMT+9" in (made.get_attribute("title") or "")
        visitor.assert_calm()
