"""Rows are divided purely, evenly and with clear refusals."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.data.split import Rows, split_rows
from hpsearch.data.table import Table
from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.study import Split
from hpsearch.errors import InvalidStudyError

if TYPE_CHECKING:
    from collections.abc import Callable

    Build = Callable[..., Table]


def labelled(table_of: Build, *counts: int, **extra: Any) -> Table:
    labels = [f"c{number}" for number, count in enumerate(counts) for _ in range(count)]
    return table_of({"x": np.arange(len(labels), dtype=float)}, labels, **extra)


def everything(rows: Rows) -> list[int]:
    return sorted([*rows.folds[0].train.tolist(), *rows.folds[0].validation.tolist(), *rows.test.tolist()])


def test_hold_out_covers_every_row_once_with_exact_sizes(table_of: Build) -> None:
    table = labelled(table_of, 500, 300, 197)
    rows = split_rows(table, "multiclass", Split(validation=0.25, test=0.1))
    assert everything(rows) == list(range(997))
    assert (len(rows.test), len(rows.folds[0].validation)) == (100, 249)
    for part in (rows.test, rows.folds[0].train, rows.folds[0].validation):
        assert part.dtype == np.int64
        assert np.array_equal(part, np.sort(part))


def test_same_digest_and_split_give_the_same_rows_and_others_do_not(table_of: Build) -> None:
    first = split_rows(labelled(table_of, 60, 60), "binary", Split())
    again = split_rows(labelled(table_of, 60, 60), "binary", Split())
    reseeded = split_rows(labelled(table_of, 60, 60), "binary", Split(seed=1))
    other = split_rows(labelled(table_of, 60, 60, digest="1e" * 32), "binary", Split())
    assert np.array_equal(first.test, again.test)
    assert np.array_equal(first.folds[0].train, again.folds[0].train)
    assert not np.array_equal(first.test, reseeded.test)
    assert not np.array_equal(first.test, other.test)


def test_the_same_rows_in_another_process() -> None:
    program = (
        "import numpy as np\n"
        "from hpsearch.data.split import split_rows\n"
        "from hpsearch.data.table import Table\n"
        "from hpsearch.domain.dataset import DatasetProfile\n"
        "from hpsearch.domain.study import Split\n"
        "profile = DatasetProfile(n_rows=20, columns=(), target='y', task='regression')\n"
        "rows = split_rows(Table(profile, {}, np.arange(20.0), 20, 'ab' * 32), 'regression', Split())\n"
        "print(rows.test.tolist(), rows.folds[0].validation.tolist())"
    )
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # Written down once: a change here would silently give old studies other rows.
    assert seen.stdout.strip() == "[5, 7, 13, 17] [1, 6, 9, 19]"


def test_test_rows_do_not_depend_on_how_the_rest_is_divided(table_of: Build) -> None:
    table = labelled(table_of, 80, 40)
    hold_out = split_rows(table, "binary", Split(validation=0.3))
    folds = split_rows(table, "binary", Split(folds=5))
    assert np.array_equal(hold_out.test, folds.test)


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=6),
    seed=st.integers(0, 1000),
    test=st.sampled_from([0.0, 0.1, 0.2, 0.35]),
)
def test_every_class_has_its_share_in_every_part(counts: list[int], seed: int, test: float) -> None:
    target = np.repeat(np.arange(len(counts)), counts)
    classes = tuple(f"c{number}" for number in range(len(counts)))
    profile = DatasetProfile(n_rows=len(target), columns=(), target="y", task="multiclass", classes=classes)
    table = Table(profile, {}, target, len(target), "5a" * 32)
    rows = split_rows(table, "multiclass", Split(validation=0.25, test=test, seed=seed))
    assert everything(rows) == list(range(sum(counts)))
    for number, count in enumerate(counts):
        in_test = int((table.target[rows.test] == number).sum())
        in_validation = int((table.target[rows.folds[0].validation] == number).sum())
        assert abs(in_test - test * count) < 1.6
        assert abs(in_validation - 0.25 * count) < 2.6


def test_folds_partition_the_rows_that_are_not_test_rows(table_of: Build) -> None:
    table = labelled(table_of, 51, 50, 10)
    rows = split_rows(table, "multiclass", Split(folds=5, test=0.2))
    seen = np.concatenate([fold.validation for fold in rows.folds])
    assert sorted(np.concatenate([seen, rows.test]).tolist()) == list(range(111))
    sizes = [len(fold.validation) for fold in rows.folds]
    assert max(sizes) - min(sizes) <= 1
    for fold in rows.folds:
        assert not set(fold.train) & set(fold.validation)
        assert not set(fold.train) & set(rows.test)
        assert 1 <= (table.target[fold.validation] == 2).sum() <= 2
    assert np.array_equal(rows.development, np.setdiff1d(np.arange(111), rows.test))


def test_no_test_rows_when_none_are_asked_for(table_of: Build) -> None:
    rows = split_rows(labelled(table_of, 20, 20), "binary", Split(test=0.0))
    assert len(rows.test) == 0
    assert rows.test.dtype == np.int64


def test_stratify_false_ignores_classes_and_true_insists(table_of: Build) -> None:
    table = labelled(table_of, 100, 50, 2)
    plain = split_rows(table, "multiclass", Split(stratify=False))
    assert not np.array_equal(plain.test, split_rows(table, "multiclass", Split()).test)
    with pytest.raises(InvalidStudyError, match="class 'c2' has 2 rows for 3 parts"):
        split_rows(table, "multiclass", Split(stratify=True))
    split_rows(table, "multiclass", Split(stratify=True, test=0.0))


def test_stratify_on_regression_is_refused(table_of: Build) -> None:
    table = table_of({"x": range(30)}, [float(i) for i in range(30)])
    with pytest.raises(InvalidStudyError, match="no classes"):
        split_rows(table, "regression", Split(stratify=True))
    assert everything(split_rows(table, "regression", Split())) == list(range(30))


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (Split(folds=10, test=0.2), "10 folds need at least 10 rows that are not test rows, the data has 8"),
        (Split(validation=0.04, test=0.0), r"split\.validation 0\.04 of 10 rows is no row at all"),
        (Split(validation=0.2, test=0.01), r"split\.test 0\.01 of 10 rows is no row at all"),
        (Split(validation=0.5, test=0.49), "leave none to train on"),
        (Split(column="nowhere"), "names 'nowhere', which is not an input column"),
    ],
)
def test_impossible_splits_are_refused_with_a_sentence(table_of: Build, split: Split, message: str) -> None:
    with pytest.raises(InvalidStudyError, match=message):
        split_rows(labelled(table_of, 5, 5), "binary", split)


def test_training_rows_of_one_class_or_value_are_refused(table_of: Build) -> None:
    with pytest.raises(InvalidStudyError, match="training rows are of class 'c0'"):
        split_rows(labelled(table_of, 40, 1), "binary", Split(column=None, folds=2, test=0.0))
    constant = table_of({"x": range(10)}, [2.5] * 10)
    with pytest.raises(InvalidStudyError, match=r"is 2\.5 in all"):
        split_rows(constant, "regression", Split())


def test_a_task_that_does_not_fit_the_target(table_of: Build) -> None:
    with pytest.raises(InvalidStudyError, match="holds labels such as 'c0'"):
        split_rows(labelled(table_of, 9, 9), "regression", Split())
    with pytest.raises(InvalidStudyError, match="binary but the target 'y' has 3 classes"):
        split_rows(labelled(table_of, 9, 9, 9), "binary", Split())


def test_split_column(table_of: Build) -> None:
    part = ["train", "Training", "VAL", "valid", "test", " dev "] * 4
    table = table_of({"x": range(24), "part": part}, ["a", "b"] * 12)
    rows = split_rows(table, "binary", Split(column="part"))
    assert rows.folds[0].train.tolist() == [i for i in range(24) if i % 6 in (0, 1)]
    assert rows.folds[0].validation.tolist() == [i for i in range(24) if i % 6 in (2, 3, 5)]
    assert rows.test.tolist() == [i for i in range(24) if i % 6 == 4]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (["train", "holdout", "test", "train"], "holds 'holdout'; expected train, validation or test"),
        (["train", None, "val", "train"], "row 2 has no value"),
        (["train", "train", "test", "train"], "marks no row as validation"),
        (["val", "val", "test", "val"], "marks no row as train"),
        ([0, 1, 2, 0], "holds numbers"),
    ],
)
def test_split_columns_that_do_not_work(table_of: Build, part: list[Any], message: str) -> None:
    table = table_of({"x": range(4), "part": part}, ["a", "b", "a", "b"])
    with pytest.raises(InvalidStudyError, match=message):
        split_rows(table, "binary", Split(column="part"))
