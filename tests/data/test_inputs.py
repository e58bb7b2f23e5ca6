"""A data file is read the way the model's training data were."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from hpsearch.data.reading.inputs import read_inputs
from hpsearch.domain.dataset import ColumnKind
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {"age": ColumnKind.REAL, "ok": ColumnKind.BINARY, "code": ColumnKind.CATEGORICAL}


def test_columns_in_any_order_with_others_between(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("code,more,ok,age\n 1 ,z,true,2.5\nNA,z,,\nnew,z,false,NA\n")
    read = read_inputs(path, KINDS)
    assert np.array_equal(read["age"], [2.5, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(read["ok"], [1.0, np.nan, 0.0], equal_nan=True)
    assert read["code"].tolist() == ["1", None, "new"]
    assert read["code"].dtype == object


def test_one_row_of_categories_that_look_like_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("code\n7\n")
    assert read_inputs(path, {"code": ColumnKind.CATEGORICAL})["code"].tolist() == ["7"]


def test_matrix_without_target_and_file_without_header(tmp_path: Path) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, X=np.array([[1, 2], [3, 4]]))
    assert read_inputs(path, {"x1": ColumnKind.REAL})["x1"].tolist() == [2.0, 4.0]
    path.write_text("5,6\n7,8\n")
    assert read_inputs(path, {"x1": ColumnKind.CATEGORICAL})["x1"].tolist() == ["6", "8"]
    out = io.BytesIO()
    np.savez(out, a=np.array([3, 4]), b=np.array([0.5, np.nan]))
    path.write_bytes(out.getvalue())
    read = read_inputs(path, {"a": ColumnKind.CATEGORICAL, "b": ColumnKind.CATEGORICAL})
    assert (read["a"].tolist(), read["b"].tolist()) == (["3", "4"], ["0.5", None])


def test_what_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("age,ok\n1,true\n")
    with pytest.raises(InvalidDatasetError, match="no column 'code', which the model was trained on"):
        read_inputs(path, KINDS)
    path.write_text("age,ok,code\n1,true,x\nold,true,y\n")
    with pytest.raises(InvalidDatasetError, match="row 2 of column 'age' holds 'old'"):
        read_inputs(path, KINDS)
