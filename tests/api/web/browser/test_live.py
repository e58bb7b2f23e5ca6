"""What a worker reports is on the page within a second."""

from __future__ import annotations

from statistics import median

from playwright.sync_api import expect

from tests.api.web.browser.scene import Scene
from tests.api.web.browser.visitor import Visitor


def test_reports_are_seen_within_a_second(visitor: Visitor, scene: Scene) -> None:
    study_id = scene.new_study("seen at once")
    page = visitor.go(f"/ui/studies/{study_id}")
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#board")).to_contain_text("No results yet")

    (trial,) = scene.claim(1)
    waits = []
    for epoch in range(1, 6):
        scene.tell_epoch(trial, epoch, 0.5 + epoch / 100)
        waits.append(visitor.wait_s(f"#running-{trial['trial_id']}", f"epoch {epoch}"))
    scene.complete(trial, value=0.875)
    waits.append(visitor.wait_s(f"#row-{trial['trial_id']}", "0.8750"))
    # A third of a second on a quiet machine; the single worst one may meet a neighbour's test.
    assert median(waits) < 1, waits
    assert sorted(waits)[-2] < 1, waits
    expect(page.locator(".tile-value").first).to_have_text("0.8750")


def test_what_others_do_is_seen_too(visitor: Visitor, scene: Scene) -> None:
    study_id = scene.new_study("steered elsewhere")
    page = visitor.go(f"/ui/studies/{study_id}")
    expect(page.locator("#connection")).to_have_text("Live")
    scene.client.post(f"/v1/studies/{study_id}/pause")
    expect(page.locator("#now .doing")).to_contain_text("Paused")
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)


def test_a_trial_is_followed_epoch_by_epoch(visitor: Visitor, scene: Scene) -> None:
    scene.new_study("one trial", max_trials=1)
    (trial,) = scene.claim(1)
    page = visitor.go(f"/ui/trials/{trial['trial_id']}")
    expect(page.locator("#connection")).to_have_text("Live")
    scene.tell_epoch(trial, 1, 0.6)
    expect(page.locator("#curves .chart-card").first).to_be_visible()
    scene.complete(trial, value=0.625)
    expect(page.locator("#now")).to_contain_text("0.625")
    expect(page.locator("#now .state").first).to_have_text("COMPLETE")
