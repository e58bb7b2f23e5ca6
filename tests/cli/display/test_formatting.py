from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hpsearch.cli.console import safe
from hpsearch.cli.display import formatting
from hpsearch.cli.durations import seconds
from hpsearch.errors import InvalidInputError


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.977777, "0.97778"), (2871.34, "2871.3"), (1e-9, "1e-09"), (None, "-"), (float("inf"), "inf"), (0.0, "0")],
)
def test_numbers(value: float | None, shown: str):
    assert formatting.number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (45, "45 s"),
        (59.7, "1 m 00 s"),
        (200, "3 m 20 s"),
        (7500, "2 h 05 m"),
        (200_000, "2 d 07 h"),
        (-3, "0.0 s"),
        (None, "-"),
    ],
)
def test_durations(value: float | None, shown: str):
    assert formatting.duration(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 B"), (999, "999 B"), (1400, "1.4 kB"), (212_000_000, "212.0 MB"), (3e15, "3000.0 TB")]
)
def test_sizes(value: float, shown: str):
    assert formatting.size(value) == shown


def test_ago():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert formatting.ago(now - timedelta(minutes=3), now) == "3 m 00 s ago"


def test_parameters_draw_widths_together_in_layer_order():
    params = {
        "units_2": 16,
        "units_10": 4,
        "units_1": 128,
        "learning_rate": 0.00012345,
        "batch_norm": True,
        "layers": 10,
    }
    assert formatting.parameters(params) == "layers=10 units=128-16-4 learning_rate=0.000123 batch_norm=true"
    assert formatting.parameters(params, {"layers"}) == "layers=10"


def test_varying_names_only_what_differs():
    rows = [
        {"layers": 1, "units": 8, "dropout": 0.1},
        {"layers": 1, "units": 9, "dropout": 0.1},
        {"layers": 1, "units": 9},
    ]
    assert formatting.varying(rows) == {"units", "dropout"}
    assert formatting.varying(rows[:1]) == {"layers", "units", "dropout"}
    assert formatting.varying([]) == set()
    widths = [{"units_1": 8, "units_2": 64}, {"units_1": 9, "units_2": 64}, {"units_1": 8}]
    assert formatting.varying(widths) == {"units_1", "units_2"}, "8-64 is not 8"
    assert formatting.varying(widths[:1] * 2) == set()


def test_sparkline_rises_with_the_values_and_fits():
    assert formatting.sparkline([1, 2, 3, 4, 5, 6, 7, 8]) == "▁▂▃▄▅▆▇█"
    assert formatting.sparkline([8, 1]) == "█▁"
    assert formatting.sparkline([5, 5, 5]) == "▁▁▁"
    assert len(formatting.sparkline(list(range(1000)), 24)) == 24
    assert formatting.sparkline(list(range(1000)), 24)[-1] == "█"
    assert formatting.sparkline([1]) == ""
    assert formatting.sparkline([1, 2], blocks=False) == ""


@pytest.mark.parametrize(
    ("text", "value"), [("90", 90), ("90s", 90), ("15m", 900), ("12 h", 43_200), ("30D", 2_592_000), ("2w", 1_209_600)]
)
def test_typed_durations(text: str, value: int):
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "0", "-3h", "1.5h", "3y", "h", "1e9"])
def test_typed_durations_refused(text: str):
    with pytest.raises(InvalidInputError, match="such as 12h or 30d, received"):
        seconds(text)


def test_no_text_steers_the_terminal():
    assert safe("a\x1b[31mb") == "a\\x1b[31mb"
    assert safe("bell\x07 \u202e \ud800") == "bell\\x07 \\u202e \\ud800"
    assert safe("Zürich, 数据\nnext") == "Zürich, 数据\nnext"
