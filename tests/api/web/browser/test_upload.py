"""A new study from a dropped file: its columns, its profile, a proposal, and faults shown where they were written."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.api.web.browser.scene import Scene
from tests.api.web.browser.visitor import Visitor

_HARM = "<img src=x onerror=window.harm=1>"
_TABLE = "height,colour,kind\n" + "".join(
    f"{'' if i % 10 == 0 else i / 7:.3},{'red' if i % 3 else _HARM},{'rose' if i % 4 else 'tulip'}\n" for i in range(80)
)
_DROP = """(zone, [name, text]) => {
  const moved = new DataTransfer();
  moved.items.add(new File([text], name, {type: "text/csv"}));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    zone.dispatchEvent(new DragEvent(kind, {dataTransfer: moved, bubbles: true, cancelable: true}));
  }
}"""


def _drop(page: Page, name: str, text: str) -> None:
    page.locator("#dropzone").evaluate(_DROP, [name, text])


def test_a_dropped_table_becomes_a_study(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go("/ui/studies/new")
    _drop(page, "flowers.csv", _TABLE)
    target = page.get_by_label("Target column")
    expect(target.locator("option")).to_have_text(["kind (last column)", "height", "colour"])
    expect(target).to_be_focused()
    target.select_option("kind")
    page.click("#upload button[type=submit]")
    expect(page.locator("h1")).to_have_text("New study of flowers", timeout=60_000)

    profile = page.locator("details.profile")
    for name, kind, missing in (("height", "real", "8"), ("colour", "categorical", "0")):
        row = profile.get_by_role("row", name=re.compile(f"^{name} "))
        expect(row).to_contain_text(kind)
        expect(row.locator("td").nth(1)).to_have_text(missing)
    expect(profile.get_by_role("row", name=re.compile("^rose 60 75"))).to_be_visible()
    expect(profile).to_contain_text("8 cells in 1 columns")

    expect(page.locator("#yaml")).to_have_value(re.compile("space:\n  layers:"))
    expect(page.locator("#preview")).to_contain_text("on one core")
    start = page.get_by_role("button", name="Start study")
    beyond = "(frame) => frame.scrollWidth - frame.clientWidth"
    assert page.get_by_role("region", name="Space").evaluate(beyond) <= 0, "the space is clipped"
    page.set_viewport_size({"width": 360, "height": 780})
    expect(start).to_be_in_viewport()
    page.set_viewport_size({"width": 1280, "height": 900})
    low, high = page.locator("[name='units.low']"), page.locator("[name='units.high']")
    low.fill("900")
    expect(page.locator("#preview")).to_contain_text("low must not exceed high")
    expect(low).to_have_attribute("aria-invalid", "true")
    expect(start).to_be_disabled()
    high.fill("1000")
    expect(start).to_be_enabled()
    expect(low).not_to_have_attribute("aria-invalid", "true")

    page.fill("[name=name]", "dropped")
    expect(page.locator("#yaml")).to_have_value(re.compile("name: dropped"))
    start.click()
    expect(page.locator("h1")).to_have_text("dropped")
    assert page.evaluate("window.harm") is None
    assert scene.client.post(f"/v1/studies/{page.url.rsplit('/', 1)[1]}/cancel").status_code == 200


def test_a_fault_in_a_folded_part_unfolds_it(visitor: Visitor) -> None:
    page = visitor.go("/ui/studies/new?builtin=iris")
    patience = page.locator("[name=patience]")
    page.get_by_text("Split, training and final model").click()
    patience.fill("many")
    page.get_by_text("Split, training and final model").click()
    expect(patience).to_be_hidden()
    page.fill("[name=name]", "folded")
    expect(patience).to_be_visible()
    expect(patience).to_have_attribute("aria-invalid", "true")


def test_a_file_that_is_no_table_is_refused_kindly(visitor: Visitor) -> None:
    page = visitor.go("/ui/studies/new")
    visitor.allow("422")
    _drop(page, "page.csv", "<html></html>")
    page.click("#upload button[type=submit]")
    expect(page.locator("#upload-complaint")).to_be_visible()
    expect(page.locator("#upload-complaint")).not_to_be_empty()
    expect(page.get_by_role("button", name="Upload")).to_be_enabled()
