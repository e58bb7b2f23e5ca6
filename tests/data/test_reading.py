"""CSV, Parquet and NPZ are read for what they hold."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpsearch.data.reading.cells import read_cells
from hpsearch.data.reading.dates import days_since_1970
from hpsearch.data.reading.open_file import read_file
from hpsearch.errors import InvalidDatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from hpsearch.data.reading.raw import RawColumns


def read(folder: Path, data: bytes | str, **options: Any) -> RawColumns:
    path = folder / "file"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_file(path, **options)


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def cells(*values: str | None) -> Any:
    return read_cells(pl.Series("c", values, dtype=pl.String), typed=False)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_separators_line_ends_and_byte_order_marks(tmp_path: Path, separator: str, end: str, mark: str) -> None:
    text = (
        mark + end.join([separator.join(row) for row in (("a", "b", "c"), ("1", '"x y"', "é"), ("2", "", "z"))]) + end
    )
    raw = read(tmp_path, text)
    assert raw.frame.columns == ["a", "b", "c"]
    assert raw.frame.rows() == [("1", "x y", "é"), ("2", None, "z")]
    assert (raw.typed, raw.target, raw.warnings) == (False, None, [])


def test_quoted_cells_may_hold_anything(tmp_path: Path) -> None:
    raw = read(tmp_path, 'a,"b ""q"", c"\n"x\ny","1,5"\n')
    assert raw.frame.columns == ["a", 'b "q", c']
    assert raw.frame.rows() == [("x\ny", "1,5")]


def test_text_that_looks_like_a_packed_file_is_text(tmp_path: Path) -> None:
    # Two bytes of zlib's, which polars unpacks without being asked.
    assert read(tmp_path, "x^2,y\nx^,1\n").frame.rows() == [("x^", "1")]


def test_empty_lines_are_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "\n\na,b\n1,2\n\n3,4\n\n").frame.rows() == [("1", "2"), ("3", "4")]


def test_a_file_without_header(tmp_path: Path) -> None:
    raw = read(tmp_path, "1.5,2,0\n3,4,1\n")
    assert raw.frame.columns == ["x0", "x1", "x2"]
    assert raw.frame.height == 2
    assert "the columns were named x0 to x2" in raw.warnings[0]
    named = read(tmp_path, "2020,2021\n3,4\n", known=["2021"])
    assert (named.frame.columns, named.frame.height) == (["2020", "2021"], 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,a\n1,2,3\n", "the column name 'a' occurs 2 times"),
        ("a\n1\n", "the first line has one cell, 'a'"),
        ("a,b\n1,2\n1,2,3\n", "row 2 has 3 cells but there are 2 columns"),
        ('a,b\n1,2\n"x"y,2\n', "the quotes of row 2"),
        (f"a,{'b' * 201}\n1,2\n", "the name of column 2"),
        ("a,b\x07\n1,2\n", "the name of column 2"),
        ("a,b\n", "header but no rows"),
    ],
)
def test_csv_that_does_not_fit(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidDatasetError, match=message):
        read(tmp_path, text)


def test_unnamed_columns_get_a_name(tmp_path: Path) -> None:
    raw = read(tmp_path, ",b\n0,5\n1,6\n")
    assert raw.frame.columns == ["column_1", "b"]
    assert raw.warnings == ["the column without a name was called column_1"]


def test_a_long_file_is_read_by_several_threads_alike(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=60_000)
    text = "a,b\n" + "".join(f'{value},"t {k % 7},\n"\n' for k, value in enumerate(values))
    frame = read(tmp_path, text).frame
    assert np.array_equal(frame["a"].cast(pl.Float64).to_numpy(), values)
    assert frame["b"].to_list() == [f"t {k % 7},\n" for k in range(60_000)]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1), st.integers()),
        min_size=1,
        max_size=8,
    )
)
def test_what_the_csv_module_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, int]]) -> None:
    import csv

    out = io.StringIO(newline="")
    csv.writer(out).writerows([("text", "number"), *rows])
    assert read(tmp_path, out.getvalue()).frame.rows() == [(text, str(number)) for text, number in rows]


def test_numbers_with_every_word_for_missing() -> None:
    read_as = cells("1", " 2.5 ", "", "NA", "NaN", "nan", "null", "?", "None", "-3e2", None)
    assert read_as.form == "number"
    assert read_as.values.to_list() == [1.0, 2.5, *[None] * 7, -300.0, None]


def test_forms_of_columns() -> None:
    assert cells("true", "FALSE", "", "True").values.to_list() == [1.0, 0.0, None, 1.0]
    assert cells("true", "FALSE").form == "truth"
    assert cells("NA", "", None).form == "empty"
    assert cells(" red", "blue ", "NA").values.to_list() == ["red", "blue", None]
    assert cells("1", "2", "x").form == "text"
    dates = cells("1970-01-02", "2020-01-01", "")
    assert (dates.form, dates.values.to_list()) == ("number", [1.0, 18262.0, None])
    assert dates.warning == "column 'c' holds dates and is read as days since 1970-01-01"


def test_typed_texts_stay_texts() -> None:
    read_as = read_cells(pl.Series("c", ["01", "NA", "", None]), typed=True)
    assert (read_as.form, read_as.values.to_list()) == ("text", ["01", "NA", None, None])


def test_typed_columns_of_every_kind() -> None:
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal

    def values(items: list[Any], dtype: Any = None) -> list[Any]:
        return read_cells(pl.Series("c", items, dtype=dtype), typed=True).values.to_list()

    assert values([1, None], pl.UInt8) == [1.0, None]
    assert values([float("nan"), 2.0], pl.Float32) == [None, 2.0]
    assert values([True, None]) == [1.0, None]
    assert values([Decimal("1.25"), None]) == [1.25, None]
    assert values(["u", None], pl.Categorical) == ["u", None]
    assert values([date(1970, 1, 3), None]) == [2.0, None]
    assert values([datetime(1970, 1, 1, 12)], pl.Datetime("ms")) == [0.5]  # noqa: DTZ001 - files hold naive instants
    assert values([timedelta(seconds=90)], pl.Duration("ms")) == [90.0]
    assert values([time(0, 1)]) == pytest.approx([60.0])
    assert values([None, None], pl.Null) == [None, None]


@pytest.mark.parametrize("text", ["1e999", "-inf", "Infinity", "1e309"])
def test_infinite_cells_name_row_and_column(text: str) -> None:
    with pytest.raises(InvalidDatasetError, match="row 3 of column 'c'") as refused:
        cells("1", "2", text)
    assert refused.value.details == {"row": 3, "column": "c"}
    assert refused.value.code == "dataset.not_finite"


def test_one_text_among_numbers_is_a_mistake() -> None:
    with pytest.raises(InvalidDatasetError, match=r"row 31 of column 'c' holds 'abc', but 30 of 31 cells are numbers"):
        cells(*[str(number) for number in range(30)], "abc")


def test_control_characters_are_refused() -> None:
    with pytest.raises(InvalidDatasetError, match="row 2 of column 'c' holds control characters"):
        cells("ok", "a\x1bb")


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2020-01-01", 18262.0),
        ("2020-01-01T12:00:00", 18262.5),
        ("2020-01-01 12:00:00.000", 18262.5),
        ("2020-01-01T12:00:00Z", 18262.5),
        ("2020-01-01T12:00:00+12:00", 18262.0),
        ("2020-01-01T12:00:00.5+1200", 18262.0 + 0.5 / 86_400),
        ("2020-02-30", None),
        ("2020-1-1", None),
        ("01/02/2020", None),
        ("2020-01-01 and more", None),
    ],
)
def test_dates(text: str, days: float | None) -> None:
    found = days_since_1970(pl.Series([text, None], dtype=pl.String))
    if days is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == pytest.approx(days, abs=1e-9)
        assert found[1] is None


def test_npz_with_a_matrix(tmp_path: Path) -> None:
    raw = read(tmp_path, npz(X=np.arange(12, dtype=">i2").reshape(2, 3, 2), y=np.array([[1], [0]])))
    assert raw.frame.columns == ["x0", "x1", "x2", "x3", "x4", "x5", "y"]
    assert raw.frame.rows() == [(0, 1, 2, 3, 4, 5, 1), (6, 7, 8, 9, 10, 11, 0)]
    assert (raw.typed, raw.target) == (True, "y")


def test_npz_in_scikit_learn_words_and_fortran_order(tmp_path: Path) -> None:
    matrix = np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(3, 2))
    raw = read(tmp_path, npz(data=matrix, target=np.array(["u", "v", "u"]), feature_names=np.array(["p", "q"]), z=[1]))
    assert raw.frame.columns == ["p", "q", "target"]
    assert raw.frame.rows() == [(0.0, 1.0, "u"), (2.0, 3.0, "v"), (4.0, 5.0, "u")]
    assert "array z was ignored" in raw.warnings[0]


def test_npz_with_named_columns(tmp_path: Path) -> None:
    raw = read(tmp_path, npz(age=np.array([1, 2]), sex=np.array(["f", "m"]), ok=np.array([True, False])))
    assert raw.frame.columns == ["age", "sex", "ok"]
    assert raw.frame.rows() == [(1, "f", True), (2, "m", False)]
    assert raw.target is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.zeros((3, 2))}, "no target"),
        ({"X": np.zeros((3, 2)), "y": np.zeros(2)}, r"shape \(2,\) for 3 rows"),
        ({"X": np.zeros((3, 2)), "y": np.zeros((1, 3))}, r"shape \(1, 3\) for 3 rows"),
        ({"X": np.zeros((0, 2)), "y": np.zeros(0)}, "no cell"),
        ({"a": np.zeros(3), "b": np.zeros(2)}, "expected one length"),
        ({"train": np.zeros((3, 2)), "y": np.zeros(3)}, "has 2 dimensions"),
        ({"X": np.zeros((1, 1, 1, 1, 1)), "y": np.zeros(1)}, "dimensions, rows first"),
        ({"X": np.array(1.0), "y": np.zeros(1)}, "dimensions, rows first"),
    ],
)
def test_npz_that_makes_no_table(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDatasetError, match=message):
        read(tmp_path, npz(**arrays))


def test_parquet_keeps_types(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, None], "s": ["x", "y"], "b": [True, False]})
    out = io.BytesIO()
    frame.write_parquet(out)
    raw = read(tmp_path, out.getvalue())
    assert raw.frame.equals(frame)
    assert raw.typed


def test_parquet_without_rows(tmp_path: Path) -> None:
    out = io.BytesIO()
    pl.DataFrame({"a": pl.Series([], dtype=pl.Int64)}).write_parquet(out)
    with pytest.raises(InvalidDatasetError, match="no rows"):
        read(tmp_path, out.getvalue())
