"""Everything by keyboard: from the door to a study, its board, its menus and its dialogs."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.api.web.browser.scene import Scene
from tests.api.web.browser.visitor import Visitor

_FOCUS = """() => {
  const one = document.activeElement, style = getComputedStyle(one);
  return [one.textContent.trim() || one.getAttribute("aria-label") || one.id, style.outlineStyle, style.outlineWidth];
}"""


def _tab_to(page: Page, text: str, *, most: int = 60) -> None:
    """Press Tab until what holds the text has the focus, and see that the focus is seen on the way."""
    for _ in range(most):
        page.keyboard.press("Tab")
        name, style, width = page.evaluate(_FOCUS)
        assert style != "none", name
        assert width != "0px", name
        if name.startswith(text):
            return
    msg = f"{text!r} is not reached with {most} presses of Tab"
    raise AssertionError(msg)


def test_somebody_signs_in_without_a_mouse(browser: Browser, scene: Scene) -> None:
    with Visitor.arrive(browser, scene.url, None) as visitor:
        page = visitor.page
        page.goto(f"{scene.url}/ui/studies/{scene.finished}")
        expect(page.locator("#token")).to_be_focused()
        page.keyboard.type(scene.token)
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("long ago")
        visitor.assert_calm()


def test_content_is_one_key_away(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_the_board_is_sorted_and_its_menus_open_without_a_mouse(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    _tab_to(page, "Columns")
    page.keyboard.press("Enter")
    expect(page.locator("#board-columns")).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    expect(page.locator("#board-columns")).not_to_have_attribute("open", "")
    expect(page.locator("#board-columns summary")).to_be_focused()
    _tab_to(page, "learning_rate")
    page.keyboard.press("Enter")
    expect(page.locator('th[data-column="param.learning_rate"]')).to_have_attribute("aria-sort", "ascending")
    page.keyboard.press("Enter")
    expect(page.locator('th[data-column="param.learning_rate"]')).to_have_attribute("aria-sort", "descending")


def test_a_dialog_gives_the_focus_back(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    _tab_to(page, "Clone")
    page.keyboard.press("Enter")
    expect(page.locator("#clone")).to_be_visible()
    for _ in range(12):  # a dialog keeps the focus inside, or gives it to the browser's own bars
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || Boolean(document.activeElement.closest('#clone'))"
        )
    page.keyboard.press("Escape")
    expect(page.locator("#clone")).to_be_hidden()
    assert page.evaluate("document.activeElement.textContent").startswith("Clone")
