"""Every page, in both themes: nobody is kept out, nothing is fetched from elsewhere, nothing complains."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.api.web.browser.scene import HOSTILE, Scene
from tests.api.web.browser.visitor import Visitor

_PAGES = [
    "sign-in", "studies", "new study", "form", "data sets", "data set", "fleet", "tokens", "finished study",
    "comparison", "study under way", "trial", "failed trial", "nothing",
]  # fmt: skip


def _path(scene: Scene, name: str) -> str:
    best = scene.client.get(f"/v1/studies/{scene.finished}/leaderboard?limit=1").json()["items"][0]["trial_id"]
    (dataset, *_) = scene.client.get("/v1/datasets").json()["items"]
    return {
        "sign-in": "/ui/sign-in",
        "studies": "/ui/studies",
        "new study": "/ui/studies/new",
        "form": "/ui/studies/new?builtin=digits",
        "data sets": "/ui/datasets",
        "data set": f"/ui/datasets/{dataset['dataset_id']}",
        "fleet": "/ui/fleet",
        "tokens": "/ui/tokens",
        "finished study": f"/ui/studies/{scene.finished}",
        "comparison": f"/ui/studies/{scene.finished}/compare?trials=3,1,4,15,92,65",
        "study under way": f"/ui/studies/{scene.hostile}",
        "trial": f"/ui/trials/{best}",
        "failed trial": f"/ui/trials/{scene.failed_trial}",
        "nothing": "/ui/studies/no-such-study",
    }[name]


@pytest.mark.parametrize("name", _PAGES)
def test_everybody_can_use_it(browser: Browser, scene: Scene, name: str) -> None:
    """Checked by axe in both themes; neither a telephone nor a very wide screen scrolls sideways."""
    with Visitor.arrive(browser, scene.url, scene.token) as visitor:
        if name == "nothing":
            visitor.allow("404")
        for theme, width in (("light", 1280), ("dark", 1280), ("light", 360), ("dark", 2560)):
            visitor.page.set_viewport_size({"width": width, "height": 900})
            visitor.page.emulate_media(color_scheme=theme)
            visitor.go(_path(scene, name))
            visitor.scroll_through()
            if width <= 1280:
                assert visitor.barriers() == [], (theme, width)
            assert visitor.width_beyond() <= 0, (theme, width)
            visitor.assert_calm()


@pytest.mark.parametrize("name", ["studies", "study under way", "failed trial", "fleet"])
def test_hostile_names_are_text(visitor: Visitor, scene: Scene, name: str) -> None:
    if name == "fleet":
        assert scene.client.post("/v1/workers", json={"name": HOSTILE}).status_code == 201
    page = visitor.go(_path(scene, name))
    visitor.scroll_through()
    page.wait_for_timeout(300)
    text = page.inner_text("main")
    assert HOSTILE[:100] in text
    assert "{{7*7}}" in text
    assert page.evaluate("window.harm") is None
    assert page.locator("main script, main img").count() == 0


def test_the_documentation_shows_samples_and_fetches_nothing_from_elsewhere(browser: Browser, scene: Scene) -> None:
    with Visitor.arrive(browser, scene.url, None) as visitor:
        visitor.page.goto(f"{scene.url}/docs")
        visitor.page.locator("#operations-studies-create_study .opblock-summary-control").click()
        samples = visitor.page.locator("#operations-studies-create_study .opblock-description pre")
        samples.first.wait_for()
        shown = samples.all_inner_texts()
        assert any("curl" in text and "/v1/studies" in text for text in shown)
        assert any("client.studies.create(" in text for text in shown)
        visitor.assert_calm()
