"""Pictures of every page, on a real study that a real worker trained: `make screenshots` writes docs/images.

python -m tests.api.web.browser.screenshots [--into docs/images] [--trials 24]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import yaml
from playwright.sync_api import expect, sync_playwright

from hpsearch.client import Client
from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.domain.study import StudyDefinition
from tests.api.web.browser.chromium import launched
from tests.api.web.browser.visitor import Visitor
from tests.processes import address_of, hpsearch, running

_ROOT: Final = Path(__file__).resolve().parents[4]
_WIDTHS: Final = {"wide": 1440, "narrow": 360}
_HEIGHTS: Final = {"wide": 960, "narrow": 780}
# Shown in full length, charts and all; the others as far as a screen reaches.
_WHOLE: Final = {"study"}


def _definition(n_trials: int, **changes: Any) -> StudyDefinition:
    raw = yaml.safe_load((_ROOT / "examples" / "digits.yaml").read_text(encoding="utf-8"))
    raw["budget"] = {"max_trials": n_trials}
    raw["training"]["max_epochs"] = 20
    raw["confirm"] = {"top_k": 3, "seeds": 3}
    return StudyDefinition.model_validate({**raw, **changes})


def _searched(client: Client, n_trials: int) -> str:
    """Return the id of a finished study, with others of other states beside it."""
    study_id = client.studies.create(_definition(n_trials)).study_id
    began = time.monotonic()
    while client.studies.get(study_id).state not in STUDY_FINAL:
        if time.monotonic() - began > 1800:
            msg = f"study {study_id} did not end within half an hour"
            raise SystemExit(msg)
        time.sleep(1)
    paused = client.studies.create(_definition(40, name="digits, wider", dataset={"builtin": "digits"})).study_id
    client.studies.pause(paused)
    client.studies.create(
        _definition(30, name="wine", dataset={"builtin": "wine"}, task=None, objective=None, refit="off")
    )
    return study_id


def _draw(visitor: Visitor, path: str, target: Path, *, whole: bool) -> None:
    visitor.go(path)
    visitor.scroll_through()
    for chart in visitor.page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        expect(chart).to_have_attribute("data-drawn", "yes", timeout=60_000)
    visitor.page.mouse.move(1, 1)
    visitor.page.evaluate("scrollTo(0, 0)")
    visitor.page.wait_for_timeout(1000)
    visitor.page.screenshot(path=target, full_page=whole)


def draw(url: str, token: str, client: Client, study_id: str, into: Path) -> None:
    """Write a picture of each page at each width in both themes."""
    best = client.studies.leaderboard(study_id, limit=1).items[0].trial_id
    pages = {
        "sign-in": "/ui/sign-in",
        "studies": "/ui/studies",
        "new-study": "/ui/studies/new?builtin=digits",
        "study": f"/ui/studies/{study_id}",
        "trial": f"/ui/trials/{best}",
        "fleet": "/ui/fleet",
        "datasets": "/ui/datasets",
    }
    into.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launched(playwright)
        for theme in ("light", "dark"):
            for size, width in _WIDTHS.items():
                where = {"width": width, "height": _HEIGHTS[size], "theme": theme}
                for name, path in pages.items():
                    with Visitor.arrive(browser, url, None if name == "sign-in" else token, **where) as visitor:
                        target = into / f"{name}-{size}-{theme}.png"
                        _draw(visitor, path, target, whole=name in _WHOLE and size == "wide")
                        visitor.assert_calm()
                        print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")
        browser.close()


def main() -> None:
    """Search, then draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--into", type=Path, default=_ROOT / "docs" / "images")
    parser.add_argument("--trials", type=int, default=24)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hpsearch-screenshots-") as folder:
        data, log = Path(folder) / "data", Path(folder) / "server.log"
        command = hpsearch("serve", "--port", "0", "--workers", "1", "--data-dir", str(data))
        with running(command, log) as server:
            url = address_of(data, server, log)
            token = (data / "token").read_text(encoding="utf-8").strip()
            with Client(url, token) as client:
                draw(url, token, client, _searched(client, options.trials), options.into)
    total = sum(path.stat().st_size for path in options.into.glob("*.png"))
    print(f"{total / 1e6:.1f} MB in all, in {options.into}")


if __name__ == "__main__":
    main()
