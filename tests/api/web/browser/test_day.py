"""The whole day of a user: from a table on their disk to a model on it, with a real server and a real worker."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.api.web.browser.visitor import Visitor
from tests.processes import address_of, hpsearch, running

_MINUTES_MS = 150_000


def _table(target: Path) -> Path:
    draw = random.Random(5)
    lines = ["length,width,<b>colour</b>,kind"]
    for _ in range(240):
        kind = draw.choice(["rose", "tulip", "<img src=x onerror=window.harm=1>"])
        offset = {"rose": 0.0, "tulip": 2.0}.get(kind, 4.0)
        lines.append(
            f"{offset + draw.gauss(0, 0.7):.3f},{draw.gauss(offset / 2, 0.6):.3f},{draw.choice(['red', 'blue'])},{kind}"
        )
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return target


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_from_a_table_to_a_model(browser: Browser, tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "server.log"
    table = _table(tmp_path / "flowers.csv")
    with running(hpsearch("serve", "--port", "0", "--workers", "1", "--data-dir", str(data)), log) as server:
        url = address_of(data, server, log)
        token = (data / "token").read_text(encoding="utf-8").strip()
        with Visitor.arrive(browser, url, None) as visitor:
            page = visitor.page
            page.goto(url)
            expect(page).to_have_url(f"{url}/ui/sign-in")
            page.fill("#token", token)
            page.click("#sign-in button[type=submit]")
            expect(page).to_have_url(f"{url}/ui/studies")

            page.goto(f"{url}/ui/studies/new")
            page.set_input_files("#file", table)
            page.select_option("#target", "kind")
            page.click("#upload button[type=submit]")
            expect(page.locator("h1")).to_contain_text("New study of", timeout=60_000)

            page.fill("#fields [name=name]", "flowers")
            page.fill("#fields [name=max_trials]", "3")
            page.get_by_text("Split, training and final model").click()
            page.fill("#fields [name=max_epochs]", "6")
            page.fill("#fields [name=top_k]", "0")
            for box in ("refit", "baselines"):
                page.uncheck(f"#fields [name={box}]")
            expect(page.locator("#yaml")).to_have_value(_with("max_trials: 3", "max_epochs: 6"))
            page.get_by_role("button", name="Start study").click()

            expect(page.locator("h1")).to_have_text("flowers")
            expect(page.locator("#connection")).to_have_text("Live")
            expect(page.locator("#board tbody tr").first).to_be_visible(timeout=_MINUTES_MS)
            expect(page.locator("#now .state").first).to_have_text("COMPLETED", timeout=_MINUTES_MS)
            expect(page.locator("#board tbody tr")).to_have_count(3)
            page.locator("[data-chart=curves]").scroll_into_view_if_needed()
            expect(page.locator("[data-chart=curves]")).to_have_attribute("data-drawn", "yes")

            with page.expect_download() as download:
                page.get_by_role("link", name="Download model").first.click()
            model = tmp_path / download.value.suggested_filename
            download.value.save_as(model)
            assert model.suffix == ".keras"
            assert "model.weights.h5" in zipfile.ZipFile(model).namelist()

            page.locator("#board td[data-column=number] a").first.click()
            expect(page.locator("h1")).to_contain_text("Trial")
            expect(page.locator("#curves .chart-card").first).to_be_visible()
            assert page.evaluate("window.harm") is None
            page.get_by_role("button", name="Sign out").click()
            expect(page).to_have_url(f"{url}/ui/sign-in")
            visitor.assert_calm()


def _with(*parts: str) -> object:
    import re

    return re.compile("".join(f"(?=[\\s\\S]*{re.escape(part)})" for part in parts))
