"""Objectives that the validation rows can not score are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from hpsearch.data.objective import check_objective
from hpsearch.data.split import Fold, Rows
from hpsearch.errors import InvalidStudyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpsearch.data.table import Table


def test_roc_auc_needs_every_class_in_validation(table_of: Callable[..., Table]) -> None:
    table = table_of({"x": range(4)}, ["a", "b", "a", "b"])
    rows = Rows((Fold(np.array([1, 3]), np.array([0, 2])),), np.array([], dtype=np.int64))
    with pytest.raises(InvalidStudyError, match="no row of class 'b'"):
        check_objective(table, "binary", rows, "roc_auc")
    check_objective(table, "binary", rows, "accuracy")
    check_objective(table, "binary", Rows((Fold(np.array([1, 3]), np.array([0, 1])),), rows.test), "roc_auc")


def test_r2_needs_a_target_that_varies(table_of: Callable[..., Table]) -> None:
    table = table_of({"x": range(4)}, [1.0, 1.0, 2.0, 3.0])
    fold = Fold(np.array([2, 3]), np.array([0, 1]))
    with pytest.raises(InvalidStudyError, match="the validation rows of fold 2"):
        check_objective(table, "regression", Rows((Fold(fold.validation, fold.train), fold), fold.train), "r2")


def test_a_metric_of_another_task(table_of: Callable[..., Table]) -> None:
    table = table_of({"x": range(2)}, [1.0, 2.0])
    with pytest.raises(InvalidStudyError, match="accuracy is not a metric of regression"):
        check_objective(table, "regression", Rows((), np.array([])), "accuracy")
