"""Charts stand whatever they are given: values that are none, none at all, and a hundred thousand of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.api.web.browser.scene import Scene
from tests.api.web.browser.visitor import Visitor

# Every kind of chart from points of our own making; it returns what failed.
_DRAW: Final = (Path(__file__).parent / "every_chart.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("n", "odd"),
    [
        (0, "null"),
        (1, "null"),
        (12, "[null, NaN, Infinity, -Infinity, undefined]"),
        (40, "[1e308, -1e308, 5e-324, 0]"),
        (100_000, "null"),
    ],
    ids=["nothing", "one", "not numbers", "extremes", "100,000"],
)
def test_every_chart_stands_it(visitor: Visitor, scene: Scene, n: int, odd: str) -> None:
    page = visitor.go(f"/ui/studies/{scene.finished}")
    page.set_default_timeout(120_000)
    assert page.evaluate(f"({_DRAW})([{n}, {odd}])") == []
