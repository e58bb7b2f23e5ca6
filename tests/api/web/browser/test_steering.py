"""What people do with studies and trials from their pages."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.api.web.browser.scene import Scene
from tests.api.web.browser.visitor import Visitor


def test_a_study_is_paused_resumed_and_cancelled(visitor: Visitor, scene: Scene) -> None:
    study_id = scene.new_study("steered")
    visitor.page.clock.install()
    page = visitor.go(f"/ui/studies/{study_id}")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator("#notices")).to_contain_text("Resumed.")
    page.clock.fast_forward(10_000)
    expect(page.locator("#notices")).to_be_empty()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Keep running").click()
    assert scene.client.get(f"/v1/studies/{study_id}").json()["state"] == "RUNNING"
    page.get_by_role("button", name="Cancel").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#now .state").first).to_have_text("CANCELLED")


def test_a_study_is_extended_cloned_and_given_a_point(visitor: Visitor, scene: Scene) -> None:
    study_id = scene.new_study("grown", max_trials=4)
    page = visitor.go(f"/ui/studies/{study_id}")
    visitor.allow("422")  # a browser notes refusals in its console
    # A style that a tool or an extension gave an element must not be copied when the part it is in is swapped.
    page.locator("#more").evaluate("(menu) => menu.style.setProperty('caret-color', 'red')")
    page.get_by_role("button", name="Extend").click()
    page.fill("#extend-n", "3")
    page.locator("#extend-n").evaluate("(field) => field.removeAttribute('min')")
    page.locator("#extend button[type=submit]").click()
    expect(page.locator("#extend .complaint")).to_contain_text("more than the present 4")
    page.fill("#extend-n", "9")
    page.locator("#extend button[type=submit]").click()
    expect(page.locator("#live")).to_contain_text("of 9")

    page.get_by_role("button", name="Try a point").click()
    page.fill("#point-units", "7")
    page.fill("#point-learning_rate", "5")
    page.locator("#enqueue button[type=submit]").click()
    expect(page.locator("#enqueue .complaint")).to_contain_text("learning_rate can not be 5")
    page.fill("#point-learning_rate", "0.05")
    page.select_option("#point-activation", "tanh")
    page.locator("#enqueue button[type=submit]").click()
    expect(page.locator("#notices")).to_contain_text("Queued as trial")
    waiting = scene.client.get(f"/v1/studies/{study_id}/trials?state=WAITING&limit=100").json()["items"]
    point = {"units": 7, "activation": "tanh", "learning_rate": 0.05}
    assert any(point.items() <= trial["params"].items() for trial in waiting)

    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Rename, notes, labels").click()
    page.fill("#edit-name", "renamed")
    page.fill("#edit-labels", "team=vision")
    page.locator("#edit button[type=submit]").click()
    expect(page.locator("h1")).to_have_text("renamed")
    expect(page.get_by_role("link", name="team=vision")).to_be_visible()

    page.get_by_role("button", name="Clone").click()
    page.fill("#clone-name", "the other one")
    page.locator("#clone button[type=submit]").click()
    expect(page.locator("h1")).to_have_text("the other one")
    for one in (study_id, page.url.rsplit("/", 1)[1]):
        scene.client.post(f"/v1/studies/{one}/cancel")


def test_trials_are_trained_again(visitor: Visitor, scene: Scene) -> None:
    study_id = scene.new_study("again", max_trials=6)
    claimed = scene.claim(2)
    scene.complete(claimed[0])
    failed = claimed[1]
    answer = scene.worker.report(
        {
            "trial_id": failed["trial_id"],
            "attempt": failed["attempt"],
            "measurements": [],
            "outcome": {"state": "FAILED", "cause": "training_error", "detail": "ValueError: the sky is falling"},
        }
    )
    assert answer.status_code == 200
    page = visitor.go(f"/ui/trials/{failed['trial_id']}")
    expect(page.locator(".error-text")).to_have_text("ValueError: the sky is falling")
    page.get_by_role("button", name="Train again").click()
    expect(page.locator("#now .state").first).to_have_text("WAITING")

    page = visitor.go(f"/ui/trials/{claimed[0]['trial_id']}")
    page.get_by_role("button", name="Train again").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#now .state").first).to_have_text("WAITING")
    assert claimed[0]["trial_id"] not in page.url
    scene.client.post(f"/v1/studies/{study_id}/cancel")
