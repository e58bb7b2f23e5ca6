"""Columns become inputs: standardised, one-hot, indicated, never NaN."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hpsearch.data.column_plan import moments
from hpsearch.data.prepare import fit_preparation
from hpsearch.data.table import Table
from hpsearch.domain.dataset import Column, ColumnKind, DatasetProfile
from hpsearch.errors import InvalidStudyError

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., Table]


def rows(*numbers: int) -> np.ndarray[Any, Any]:
    return np.array(numbers, dtype=np.int64)


def test_statistics_come_from_the_training_rows_alone(table_of: Build) -> None:
    table = table_of({"x": [1.0, 3.0, 1000.0]}, ["a", "b", "a"])
    plan = fit_preparation(table, "binary", rows(0, 1))
    assert plan.inputs(table, rows(0, 1, 2)).tolist() == [[-1.0], [1.0], [998.0]]
    assert (plan.columns[0].mean, plan.columns[0].scale) == (2.0, 1.0)


@pytest.mark.parametrize("constant", [0.0, 7.0, 0.1, -1e300, 1e-300])
def test_a_column_constant_in_the_training_rows_becomes_zero(table_of: Build, constant: float) -> None:
    table = table_of(
        {"x": [constant, constant, constant, 5.0], "b": [1, 1, 1, 0]}, ["a", "b", "a", "b"], binary=frozenset("b")
    )
    plan = fit_preparation(table, "binary", rows(0, 1, 2))
    assert plan.inputs(table, rows(0, 3)).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert [column.scale for column in plan.columns] == [0.0, 0.0]


def test_rounding_noise_is_not_signal(table_of: Build) -> None:
    table = table_of({"x": [0.1 + 0.2, 0.3, 0.3, 0.3]}, ["a", "b", "a", "b"])
    assert not fit_preparation(table, "binary", rows(0, 1, 2, 3)).inputs(table, rows(0, 1)).any()


def test_missing_reals_get_the_mean_and_an_indicator(table_of: Build) -> None:
    table = table_of({"x": [1.0, None, 3.0, None]}, ["a", "b", "a", "b"])
    plan = fit_preparation(table, "binary", rows(0, 1, 2))
    assert plan.inputs(table, rows(0, 1, 2, 3)).tolist() == [[-1, 0], [0, 1], [1, 0], [0, 1]]
    assert plan.n_inputs == 2


def test_missing_binaries_get_the_most_frequent(table_of: Build) -> None:
    table = table_of({"b": [1, 1, 0, None]}, ["a", "b", "a", "b"], binary=frozenset("b"))
    plan = fit_preparation(table, "binary", rows(0, 1, 2, 3))
    assert plan.inputs(table, rows(0, 2, 3)).tolist() == [[1, 0], [0, 0], [1, 1]]


def test_categories_are_one_hot_with_an_unknown_bucket(table_of: Build) -> None:
    table = table_of({"c": ["red", "blue", "red", None, "green"]}, ["a", "b", "a", "b", "a"])
    plan = fit_preparation(table, "binary", rows(0, 1, 2))
    # blue, red, unknown; no indicator because nothing is missing in the structure rows.
    assert plan.inputs(table, rows(0, 1, 3, 4)).tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    wider = fit_preparation(table, "binary", rows(0, 1, 2), structure_rows=rows(0, 1, 2, 3, 4))
    # blue, green, red, unknown, missing.
    assert wider.inputs(table, rows(3, 4)).tolist() == [[0, 0, 1, 0, 1], [0, 1, 0, 0, 0]]
    assert wider.columns[0].fill == "red"


def test_structure_rows_keep_the_width_of_all_folds(table_of: Build) -> None:
    table = table_of({"c": ["p", "q", "r", "p", "q", None], "x": [1, 2, None, 4, 5, 6]}, ["a", "b"] * 3)
    everyone = np.arange(6)
    widths = {
        fit_preparation(table, "binary", np.setdiff1d(everyone, [k]), structure_rows=everyone).n_inputs
        for k in range(6)
    }
    assert widths == {4 + 1 + 2}


def test_a_column_missing_in_all_training_rows(table_of: Build) -> None:
    table = table_of({"x": [None, None, 3.0], "c": [None, None, "u"]}, ["a", "b", "a"])
    plan = fit_preparation(table, "binary", rows(0, 1))
    # x and its indicator, then the unknown bucket alone and its indicator.
    assert plan.inputs(table, rows(0, 2)).tolist() == [[0, 1, 1, 1], [0, 0, 1, 0]]
    assert plan.columns[1].fill is None


def test_targets_of_each_task(table_of: Build) -> None:
    classes = table_of({"x": range(3)}, ["b", "a", "c"])
    codes = fit_preparation(classes, "multiclass", rows(0, 1, 2))
    assert codes.targets(classes, rows(2, 0)).tolist() == [2, 1]
    assert codes.targets(classes, rows(0)).dtype == np.int32
    assert (codes.n_outputs, codes.target_mean, codes.target_scale) == (3, 0.0, 1.0)
    binary = table_of({"x": range(2)}, ["yes", "no"])
    plan = fit_preparation(binary, "binary", rows(0, 1))
    assert plan.targets(binary, rows(0, 1)).tolist() == [1.0, 0.0]
    assert (plan.n_outputs, plan.targets(binary, rows(0)).dtype) == (1, np.float32)
    numbers = table_of({"x": range(3)}, [10.0, 30.0, 50.0])
    fitted = fit_preparation(numbers, "regression", rows(0, 1))
    assert fitted.targets(numbers, rows(0, 1, 2)).tolist() == [-1.0, 1.0, 3.0]
    assert (fitted.target_mean, fitted.target_scale, fitted.n_outputs) == (20.0, 10.0, 1)


def test_numeric_labels_can_be_regressed_on_and_numbers_classified(table_of: Build) -> None:
    grades = table_of({"x": range(4)}, ["3", "10", "3", "10"])
    plan = fit_preparation(grades, "regression", np.arange(4))
    assert plan.target_mean == 6.5
    assert plan.targets(grades, rows(0, 1)).tolist() == [-1.0, 1.0]
    numbers = table_of({"x": range(6)}, [10.0, 2.0, 2.5, 10.0, 2.0, 2.5])
    classes = fit_preparation(numbers, "multiclass", np.arange(6))
    assert classes.classes == ("2", "2.5", "10")
    assert classes.targets(numbers, np.arange(6)).tolist() == [2, 0, 1, 2, 0, 1]
    with pytest.raises(InvalidStudyError, match="6 distinct numbers"):
        fit_preparation(table_of({"x": range(6)}, [float(i) for i in range(6)]), "multiclass", np.arange(6))


def test_excluded_columns_are_no_inputs(table_of: Build) -> None:
    table = table_of({"x": range(3), "part": ["train", "val", "test"]}, ["a", "b", "a"])
    assert fit_preparation(table, "binary", rows(0, 1), exclude=frozenset({"part"})).n_inputs == 1
    with pytest.raises(InvalidStudyError, match="no input column left"):
        fit_preparation(table, "binary", rows(0, 1), exclude=frozenset({"x", "part"}))


def test_blocks_do_not_show(table_of: Build) -> None:
    random = np.random.default_rng(0)
    table = table_of(
        {"x": random.normal(size=9_001), "z": random.normal(size=9_001)}, random.normal(size=9_001).tolist()
    )
    order = random.permutation(9_001)
    plan = fit_preparation(table, "regression", order)
    seen = plan.inputs(table, order)
    for position, name in enumerate(("x", "z")):
        values = table.columns[name]
        assert np.allclose(seen[:, position], ((values - values.mean()) / values.std())[order], atol=1e-6)


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=150)
@given(
    values=arrays(np.float64, st.integers(2, 12), elements=st.one_of(finite, st.just(np.nan))),
    n_train=st.integers(1, 12),
)
def test_no_nan_and_no_infinity_ever(values: np.ndarray[Any, Any], n_train: int) -> None:
    n = len(values)
    column = Column(name="x", kind=ColumnKind.REAL, n_missing=int(np.isnan(values).sum()))
    profile = DatasetProfile(n_rows=n, columns=(column,), target="y", task="regression")
    table = Table(profile, {"x": values}, np.arange(n, dtype=float), n, "00" * 32)
    seen = fit_preparation(table, "regression", np.arange(min(n, n_train))).inputs(table, np.arange(n))
    assert np.isfinite(seen).all()


@settings(deadline=None, max_examples=150)
@given(arrays(np.float64, st.integers(1, 10), elements=finite))
def test_moments_are_finite_and_right(values: np.ndarray[Any, Any]) -> None:
    mean, scale = moments(values)
    assert np.isfinite([mean, scale]).all()
    assert scale >= 0
    if np.abs(values).max() < 1e50 and scale > 1e-50:
        assert scale == pytest.approx(values.std(), rel=1e-6)
        assert mean == pytest.approx(values.mean(), rel=1e-6, abs=1e-6 * np.abs(values).max())
