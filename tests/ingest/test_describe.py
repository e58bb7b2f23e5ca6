"""Kinds, tasks, classes and warnings are found as documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from hpsearch.data.reading.open_file import read_file
from hpsearch.data.reading.raw import RawColumns
from hpsearch.errors import InvalidDatasetError
from hpsearch.ingest.describe import Described, describe

if TYPE_CHECKING:
    from pathlib import Path

    from hpsearch.domain.task import TaskName


def frame_of(n: int = 100, **columns: Any) -> RawColumns:
    return RawColumns(pl.DataFrame({"noise": np.random.default_rng(1).normal(size=n), **columns}), typed=True)


def profiled(target: Any, *, task: TaskName | None = None, n: int = 100, **columns: Any) -> Described:
    return describe(frame_of(n, **columns, y=target), target="y", task=task)


def warnings(**columns: Any) -> str:
    return "\n".join(profiled([0, 1] * 50, **columns).profile.warnings)


def test_kinds_of_columns(tmp_path: Path) -> None:
    path = tmp_path / "mixed"
    rows = [
        f"{k * 0.5},{k % 2},{'true' if k % 3 else 'false'},{k % 4},{'abc'[k % 3]},{'' if k % 5 else 'w'},{k % 2}"
        for k in range(60)
    ]
    path.write_text("real,zero_one,truth,few,text,gaps,label\n" + "\n".join(rows))
    profile = describe(read_file(path), target="label").profile
    kinds = {column.name: column.kind.value for column in profile.columns}
    assert kinds == {
        "real": "real",
        "zero_one": "binary",
        "truth": "binary",
        "few": "real",
        "text": "categorical",
        "gaps": "categorical",
    }
    real, gaps = profile.columns[0], profile.columns[5]
    assert (real.minimum, real.maximum, real.mean, real.n_unique) == (0.0, 29.5, 14.75, 60)
    assert real.std == pytest.approx(np.std(np.arange(60) * 0.5))
    assert (gaps.n_missing, gaps.categories, gaps.width) == (48, ("w",), 3)
    assert (profile.task, profile.classes, profile.class_counts) == ("binary", ("0", "1"), (30, 30))
    assert profile.n_inputs == 1 + 1 + 1 + 1 + 4 + 3


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([2, 10, 2, 10] * 25, "binary", ("2", "10")),
        ([2.0, 10.0, 1.0, 10.0] * 25, "multiclass", ("1", "2", "10")),
        ([-1, 1] * 50, "binary", ("-1", "1")),
        (["yes", "no"] * 50, "binary", ("no", "yes")),
        (["10", "9", "100", "9"] * 25, "multiclass", ("9", "10", "100")),
        ([True, False] * 50, "binary", ("false", "true")),
        (list(range(20)) * 5, "multiclass", tuple(str(k) for k in range(20))),
        ([*range(21), 0] * 4 + [0] * 12, "regression", ()),
        ([0.5, 1.0] * 50, "regression", ()),
        (np.arange(100), "regression", ()),
    ],
)
def test_tasks_and_classes(values: Any, task: str, classes: tuple[str, ...]) -> None:
    profile = profiled(values).profile
    assert (profile.task, profile.classes) == (task, classes)
    if classes:
        assert sum(profile.class_counts) == 100
        assert profile.target_mean is None
    else:
        assert profile.target_mean == pytest.approx(np.mean(values))
        assert profile.target_std == pytest.approx(np.std(values))


def test_a_given_task_overrides_the_inference() -> None:
    assert profiled([1, 2] * 50, task="regression").profile.task == "regression"
    assert profiled([1, 2] * 50, task="multiclass").profile.task == "multiclass"
    grades = profiled([*range(25)] * 4, task="multiclass").profile
    assert grades.classes == tuple(str(k) for k in range(25))
    with pytest.raises(InvalidDatasetError, match="binary but the target 'y' has 3 classes"):
        profiled([*[1, 2, 3] * 33, 1], task="binary")
    with pytest.raises(InvalidDatasetError, match="regression but the target 'y' holds texts such as 'b'"):
        profiled(["b", "a"] * 50, task="regression")


def test_stored_columns_are_in_profile_order_with_the_target_last() -> None:
    described = describe(frame_of(4, y=["b", "a", "b", "a"], z=[1, None, 3, 4]), target="y")
    assert described.frame.columns == ["noise", "z", "y"]
    assert described.frame.dtypes == [pl.Float64, pl.Float64, pl.String]
    assert described.frame["z"].to_list() == [1.0, None, 3.0, 4.0]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([1, None, 2, None] * 25, r"row 2 has no value for the target 'y' \(50 rows in all\)"),
        ([7] * 100, "all 100 rows have the target '7'"),
        (["same"] * 100, "all 100 rows have the target 'same'"),
        ([0.5] * 100, r"is 0\.5 in every row"),
        ([f"name {k}" for k in range(100)], "has 100 distinct labels in 100 rows"),
        (["x" * 300, "y"] * 50, "row 1 of the target 'y' has more than 200 characters"),
        ([1.5, float("inf")] * 50, "row 2 of column 'y' holds an infinite"),
        ([1.5, float("nan")] * 50, "row 2 has no value for the target 'y'"),
    ],
)
def test_targets_that_can_not_be_learned(target: Any, message: str) -> None:
    with pytest.raises(InvalidDatasetError, match=message):
        profiled(target)


def test_which_column_is_the_target() -> None:
    raw = frame_of(4, a=[1, 2, 3, 4], b=[0, 1, 0, 1])
    profile = describe(raw).profile
    assert profile.target == "b"
    assert "no target was named, so the last column 'b' was taken" in profile.warnings
    marked = describe(RawColumns(raw.frame, typed=True, target="a"), task="regression").profile
    assert (marked.target, [w for w in marked.warnings if "no target" in w]) == ("a", [])
    with pytest.raises(InvalidDatasetError, match="did you mean 'noise'"):
        describe(raw, target="noize")
    with pytest.raises(InvalidDatasetError, match="its columns are noise, a, b"):
        describe(raw, target="nothing like it")


def test_too_little_data() -> None:
    with pytest.raises(InvalidDatasetError, match="has 1 row, expected at least 2"):
        describe(frame_of(1, y=["a"]))
    with pytest.raises(InvalidDatasetError, match="no usable input column"):
        describe(RawColumns(pl.DataFrame({"e": [None, None, None], "y": [0, 1, 0]}), typed=True))


def test_columns_left_out_with_a_warning() -> None:
    described = profiled(
        [0, 1] * 50, empty=[None] * 100, names=[f"person {k}" for k in range(100)], essay=["word " * 50, "short"] * 50
    )
    assert [column.name for column in described.profile.columns] == ["noise"]
    said = "\n".join(described.profile.warnings)
    assert "column 'empty' was left out: it has no value in any row" in said
    assert "column 'names' was left out: it holds 100 distinct texts in 100 rows" in said
    assert "column 'essay' was left out: it holds texts of up to 249 characters" in said


def test_wide_categories_are_refused_before_a_worker_has_to_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    from hpsearch.ingest import describe as module

    monkeypatch.setattr(module, "MAX_PREPARED_CELLS", 1_000)
    with pytest.raises(InvalidDatasetError, match="such as 'kind', which alone becomes 11 inputs"):
        profiled([0, 1] * 50, kind=[f"k{k % 10}" for k in range(100)])


def test_nothing_odd_is_said_of_plain_data() -> None:
    assert warnings(other=np.random.default_rng(2).normal(size=100)) == ""


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"c": [5] * 100}, "column c has the same value in every row"),
        ({"c": [5] * 100, "d": ["x"] * 100}, "2 columns have the same value in every row and carry nothing: c, d"),
        ({"twin": np.random.default_rng(1).normal(size=100)}, "column twin repeats column noise"),
        ({"row": np.arange(100)}, "column row numbers the rows"),
        ({"user_id": np.random.default_rng(0).permutation(100) * 7}, "column user_id numbers the rows"),
        ({"gaps": [1.5, 1.5, 2.5, 2.5, None] * 20}, ""),
        ({"gaps": [1.5, None, None, None] * 25}, "column gaps misses 75 of 100 values"),
        ({"label": ["no", "yes"] * 50}, "column label alone determines the target"),
        ({"score": np.tile([1.0, 2.0], 50) + np.arange(100) * 1e-3}, "column score alone determines the target"),
    ],
)
def test_odd_columns(columns: dict[str, Any], message: str) -> None:
    said = warnings(**columns)
    assert message in said
    assert bool(said) == bool(message)


def test_a_value_far_from_the_others() -> None:
    values = np.random.default_rng(3).normal(size=20_000)
    values[7] = 1e6
    said = describe(RawColumns(pl.DataFrame({"far": values, "y": [0, 1] * 10_000}), typed=True)).profile.warnings
    assert any("column far holds a value 141 standard deviations from its mean" in sentence for sentence in said)


def test_a_copy_of_a_numeric_target_is_leakage() -> None:
    goal = np.random.default_rng(5).normal(size=100)
    said = profiled(goal, twice=goal * 2 + 1, half=goal + np.random.default_rng(6).normal(size=100)).profile.warnings
    assert said == ("column twice alone determines the target; leave it out if it is not known when predicting",)


def test_imbalance_and_rare_classes() -> None:
    rare = profiled([*["common"] * 98, "rare", "rare"]).profile.warnings
    assert rare == ("class 'rare' has fewer than 5 rows; some parts of a split may have none",)
    skewed = profiled([*["common"] * 92, *["rare"] * 8]).profile.warnings
    assert skewed == ("class 'rare' has 8 rows, 8.0% of all; accuracy alone will mislead, prefer f1_macro",)


def test_copied_rows() -> None:
    frame = pl.DataFrame({"a": [*range(50), *range(50)], "y": [*[0, 1] * 25, *[0, 1] * 25]})
    said = describe(RawColumns(frame, typed=True)).profile.warnings
    assert any("50 rows are exact copies of others" in sentence for sentence in said)


def test_numbers_at_the_edge_of_float64_are_described(tmp_path: Path) -> None:
    path = tmp_path / "edge"
    path.write_text("a,b,y\n" + "1.7e308,5e-324,0\n-1.7e308,0,1\n" * 10)
    columns = describe(read_file(path), target="y").profile.columns
    assert columns[0].std == pytest.approx(1.7e308)
    assert columns[1].maximum == 5e-324
