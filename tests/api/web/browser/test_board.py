"""The board: sorted, filtered and paged by the server, with the columns its viewer chose."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.api.web.browser.scene import N_TRIALS, Scene
from tests.api.web.browser.visitor import Visitor

_AXES = (
    """async () => (await (await fetch(`${location.pathname}/data/parallel`)).json()).columns.map((one) => one.name)"""
)

_IMPORTANT = """async () => {
  const found = await (await fetch(`${location.pathname}/data/importances`)).json();
  const isFrequent = (item) => 2 * item.n_results >= found.n_used;
  return found.items.filter(isFrequent).slice(0, 2).map((item) => item.name);
}"""


def _numbers(page: Page) -> list[str]:
    return page.locator("#board td[data-column=number] a").all_inner_texts()


def _column(page: Page, name: str) -> list[str]:
    return page.locator(f'#board td[data-column="{name}"]').all_inner_texts()


def test_all_pages_are_reached_and_left(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    first = _numbers(page)
    seen = list(first)
    expect(page.locator("#board-back")).to_be_disabled()
    for rank in (26, 51, 76, 101, 126):
        page.click("#board-next")
        expect(page.locator("#board td[data-column=rank]").first).to_have_text(str(rank))
        seen += _numbers(page)
    assert len(seen) == len(set(seen)) == N_TRIALS
    expect(page.locator("#board-next")).to_be_disabled()
    page.click("#board-back")
    expect(page.locator("#board td[data-column=rank]").first).to_have_text("101")
    page.click("#board-first")
    expect(page.locator("#board td[data-column=rank]").first).to_have_text("1")
    assert _numbers(page) == first


def test_it_is_sorted_by_any_column(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    page.get_by_role("button", name="learning_rate").click()
    expect(page.locator('th[data-column="param.learning_rate"]')).to_have_attribute("aria-sort", "ascending")
    rates = [float(text) for text in _column(page, "param.learning_rate")]
    assert rates == sorted(rates)
    page.get_by_role("button", name="learning_rate").click()
    expect(page.locator('th[data-column="param.learning_rate"]')).to_have_attribute("aria-sort", "descending")
    top = [float(text) for text in _column(page, "param.learning_rate")]
    assert top == sorted(top, reverse=True)
    assert top[0] >= rates[-1]
    page.reload()
    expect(page.locator('th[data-column="param.learning_rate"]')).to_have_attribute("aria-sort", "descending")


def test_ranks_only_rise_and_other_orders_hold_the_same_trials(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.hostile}")
    ranked = _numbers(page)
    heading = page.locator('th[data-column="rank"]')
    page.get_by_role("button", name="Rank").click()
    page.wait_for_timeout(500)
    expect(heading).to_have_attribute("aria-sort", "ascending")
    assert _numbers(page) == ranked
    value = page.locator('th[data-column="value"]')
    value.get_by_role("button").click()
    expect(value).to_have_attribute("aria-sort", "descending")  # the best of what is maximised come first
    assert sorted(_numbers(page)) == sorted(ranked), "what failed or still runs has no place among results"
    page.select_option("#board-state", "ANY")
    expect(page.locator(f"#row-{scene.failed_trial}")).to_be_visible()
    page.get_by_role("button", name="Rank").click()
    page.select_option("#board-state", "")
    expect(page.locator("#board tbody tr")).to_have_count(len(ranked))
    assert _numbers(page) == ranked


def test_it_is_filtered(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.hostile}")
    page.select_option("#board-state", "FAILED")
    expect(page.locator(f"#row-{scene.failed_trial}")).to_be_visible()
    expect(page.locator("#board tbody tr")).to_have_count(1)
    page.select_option("#board-kind", "baseline")
    expect(page.locator("#board")).to_contain_text("No trials match")
    page.select_option("#board-kind", "")
    page.select_option("#board-state", "")
    expect(page.locator("#board tbody tr")).to_have_count(3)


def test_it_is_filtered_by_what_is_written_and_by_what_is_selected(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    field, shown = page.get_by_role("searchbox", name="Filter"), page.locator("#board-shown")
    ranks = _column(page, "rank")[:3]
    field.fill("activation = relu")
    expect(shown).to_have_text(re.compile(rf"^\d+ of {N_TRIALS} trials shown"))
    assert set(_column(page, "param.activation")) == {"relu"}
    found = _column(page, "rank")
    assert found == sorted(found, key=int)
    assert int(found[-1]) > len(found), "ranks are those among all results"
    page.reload()
    expect(field).to_have_value("activation = relu")
    expect(shown).to_be_visible()
    field.fill("colour = red")
    expect(page.locator("#board")).to_contain_text("'colour' is not a column of this board")
    field.fill("activation = relu")
    expect(shown).to_be_visible()

    # A drag along the first axis, from its top to its middle.
    chart = page.locator("[data-chart=parallel]")
    chart.scroll_into_view_if_needed()
    expect(chart).to_have_attribute("data-drawn", "yes")
    name = page.evaluate(_AXES)[0]
    box = chart.locator("canvas").bounding_box()
    assert box is not None
    x, top = box["x"] + 46, box["y"] + 44
    page.mouse.move(x, top + 2)
    page.mouse.down()
    page.mouse.move(x, top + 60)
    page.mouse.move(x, top + 150)
    page.mouse.up()
    expect(field).to_have_value(f"activation = relu, {name} = 2..3")
    expect(page).to_have_url(re.compile(r"where=activation"))
    expect(page.locator(f'#board td[data-column="param.{name}"]', has_text="1")).to_have_count(0)
    assert set(_column(page, f"param.{name}")) == {"2", "3"}
    expect(chart.locator(".chart-note")).to_contain_text("The board shows the trials that match")
    page.click("#clear-selection")
    expect(shown).to_have_count(0)
    expect(field).to_have_value("")
    assert _column(page, "rank")[:3] == ranks


def test_chosen_columns_are_remembered(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    expect(page.locator('th[data-column="n_weights"]')).to_be_visible()
    page.click("#board-columns summary")
    page.get_by_role("checkbox", name="weights").uncheck()
    expect(page.locator('th[data-column="n_weights"]')).to_be_hidden()
    page = visitor.go(f"/ui/studies/{scene.finished}")
    expect(page.locator('th[data-column="n_weights"]')).to_be_hidden()
    expect(page.locator('th[data-column="value"]')).to_be_visible()


def test_everything_is_exported(visitor: Visitor, scene: Scene, tmp_path: Path) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    for label, beginning in (("CSV", b"trial_id,"), ("Parquet", b"PAR1")):
        page.get_by_text("Export").click()
        with page.expect_download() as download:
            page.get_by_role("link", name=label).click()
        target = tmp_path / label
        download.value.save_as(target)
        assert target.read_bytes().startswith(beginning)
        page.keyboard.press("Escape")


def test_trials_are_compared_by_their_curves(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    visitor.scroll_through()
    expect(page.locator("[data-chart=curves]")).to_have_attribute("data-drawn", "yes")
    expect(page.locator("[data-chart=curves] .chart")).to_have_attribute("aria-label", re.compile("of 5 trials"))
    page.locator("#board input[name=curve]").nth(7).check()
    page.locator("[data-chart=curves]").scroll_into_view_if_needed()
    expect(page.locator("[data-chart=curves] .chart")).to_have_attribute("aria-label", re.compile("of 6 trials"))
    numbers = [_numbers(page)[i] for i in (0, 1, 2, 3, 4, 7)]
    page.get_by_role("link", name="Compare 6 trials").click()
    expect(page.locator("table.compare thead a")).to_have_text([f"Trial {number}" for number in numbers])
    expect(page.locator("[data-chart=curves]")).to_have_attribute("data-drawn", "yes")
    same = page.locator("table.compare").get_by_role("row", name=re.compile("^best epoch|^epochs"))
    expect(same).to_have_count(0)
    page.get_by_label("Only differences").uncheck()
    expect(same).to_have_count(2)


def test_every_chart_is_drawn(visitor: Visitor, scene: Scene) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    visitor.scroll_through()
    for name in ("history", "curves", "parallel", "importances", "slice", "contour", "edf", "timeline"):
        expect(page.locator(f"[data-chart={name}]")).to_have_attribute("data-drawn", "yes", timeout=20_000)
        assert page.locator(f"[data-chart={name}] canvas").count() > 0
    # One or two parameters: the most important ones.
    first, second = page.evaluate(_IMPORTANT)
    expect(page.locator("[data-chart=slice] select")).to_have_value(first)
    expect(page.locator("[data-chart=contour] select").first).to_have_value(first)
    expect(page.locator("[data-chart=contour] select").last).to_have_value(second)
