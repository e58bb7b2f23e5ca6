"""The token of a session stays out of addresses, storage, pages and scripts, and opens nothing but the page."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.api.web.browser.scene import Scene
from tests.api.web.browser.visitor import Visitor

_KEPT = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, document.referrer])"


def test_the_token_is_nowhere_a_script_or_a_neighbour_sees(browser: Browser, scene: Scene) -> None:
    with Visitor.arrive(browser, scene.url, scene.token) as visitor:
        for path in ("/ui/studies", f"/ui/studies/{scene.finished}", f"/ui/trials/{scene.failed_trial}", "/ui/tokens"):
            page = visitor.go(path)
            visitor.scroll_through()
            assert scene.token not in page.content()
            assert scene.token not in page.evaluate(_KEPT)
            assert page.evaluate("document.cookie") == ""
        assert len(visitor.addresses) > 20
        assert not [address for address in visitor.addresses if scene.token in address]
        (cookie,) = visitor.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/ui")
        assert cookie["expires"] == -1, "it goes with the browser"
        visitor.assert_calm()


def test_the_session_opens_nothing_but_the_page(visitor: Visitor) -> None:
    page = visitor.go("/ui/studies")
    visitor.allow("401")
    status = "(path) => fetch(path, {credentials: 'include'}).then((answer) => answer.status)"
    assert page.evaluate(status, "/v1/studies") == 401
    assert page.evaluate(status, "/ui/studies") == 200


def test_another_site_can_neither_steer_nor_frame_it(browser: Browser, scene: Scene) -> None:
    with Visitor.arrive(browser, scene.url, scene.token) as visitor:
        page, target = visitor.page, f"{scene.url}/ui/studies/{scene.hostile}"
        trap = f"""<!DOCTYPE html>
            <form method="post" action="{target}/cancel"><button>A kitten</button></form>
            <iframe src="{target}"></iframe>"""
        visitor.context.route("http://evil.test/**", lambda route: route.fulfill(body=trap, content_type="text/html"))
        page.goto("http://evil.test/")
        framed = page.frame_locator("iframe")
        expect(framed.locator("#study")).to_have_count(0)
        with page.expect_response(f"{target}/cancel") as answer:
            page.get_by_role("button", name="A kitten").click()
        assert answer.value.status == 403
        expect(page.locator("main")).to_contain_text("did not come from a page of this server")
        assert scene.client.get(f"/v1/studies/{scene.hostile}").json()["state"] == "RUNNING"
