"""Rows in memory as the server takes them: pandas and polars data frames and numpy arrays, written as Parquet.

pandas and numpy are never imported here: who passes a frame has them. polars writes the file.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from hpsearch.client.checked import shown, unfit
from hpsearch.errors import HpsearchError, InvalidInputError

if TYPE_CHECKING:
    import polars as pl

_UPLOAD: Final = "Datasets.upload"
_EXPECTED: Final = (
    "the path of a CSV, Parquet or NPZ file, a pandas or polars data frame, a dictionary of columns, or a numpy array "
    "(n_rows, n_columns)"
)
_TARGET: Final = "target"
# numpy's letters for kinds of values that become numbers: truth, integers, real numbers.
_NUMERIC_KINDS: Final = "biuf"


@dataclass(frozen=True)
class RowsToSend:
    """A table to be uploaded.

    Attributes:
        content: Parquet, at its beginning.
        target: Name of the column to predict; None leaves it to the server.
    """

    content: BinaryIO
    target: str | None


def table_of(data: Any, y: Any, target: str | None) -> RowsToSend:
    """Return rows in memory as a file to upload.

    Args:
        data: Data frame or array.
        y: The target, one value a row; None when `data` holds it.
        target: Name of the target.

    Raises:
        InvalidInputError: It is something else, or can not be sent; the message says what was expected.
    """
    frame = frame_of(data, what=f"{_UPLOAD}: data", expected=_EXPECTED)
    if y is not None:
        goal = _target_of(y, target, frame)
        frame, target = frame.with_columns(goal), goal.name
    elif target is not None and target not in frame.columns:
        listed = ", ".join(map(repr, frame.columns[:10])) + (", …" if frame.width > 10 else "")  # noqa: PLR2004
        msg = f"the target {target!r} is not a column of the data; columns are {listed}"
        raise InvalidInputError(msg, code="dataset.target")
    content = io.BytesIO()
    frame.write_parquet(content)
    content.seek(0)
    return RowsToSend(content, target)


def frame_of(data: Any, *, what: str, expected: str, names: Sequence[str] = ()) -> pl.DataFrame:
    """Return rows as a polars frame; categories become texts, missing values null.

    Args:
        data: pandas or polars data frame, dictionary of columns, or numpy array (n_rows, n_columns), whose further
            dimensions are flattened.
        what: Which argument of which function, for the error.
        expected: What may be passed, for the error.
        names: Of an array's columns; x0, x1, … when left out.

    Raises:
        InvalidInputError: It is something else, or holds values that are neither numbers nor texts.
    """
    require_polars()
    import polars as pl

    kind = _kind_of(data)
    if kind == "polars.DataFrame":
        return data  # type: ignore[no-any-return]
    if kind == "polars.LazyFrame":
        return data.collect()  # type: ignore[no-any-return]
    if kind == "pandas.DataFrame":
        return pl.DataFrame([_series(str(name), data.iloc[:, place]) for place, name in enumerate(data.columns)])
    if isinstance(data, dict):
        return _of_columns(data, what)
    if kind == "numpy.ndarray":
        if data.ndim < 2:  # noqa: PLR2004
            raise unfit(data, f"{expected}; an array of {data.ndim} dimension is no table", what=what)
        wide = data.reshape(len(data), -1) if data.size else data.reshape(0, max(1, len(names)))
        if names and len(names) != wide.shape[1]:
            raise unfit(data, f"of {len(names)} columns, not {wide.shape[1]}", what=what)
        columns = names or [f"x{place}" for place in range(wide.shape[1])]
        return pl.DataFrame([_series(name, wide[:, place]) for place, name in enumerate(columns)])
    raise unfit(data, expected, what=what)


def is_frame(data: Any) -> bool:
    """Return whether the value is a pandas or polars data frame."""
    return _kind_of(data) in ("pandas.DataFrame", "polars.DataFrame", "polars.LazyFrame")


def _of_columns(columns: dict[Any, Any], what: str) -> pl.DataFrame:
    import polars as pl

    series = []
    for name, values in columns.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__len__"):
            raise unfit(values, "a list, an array or a series", what=f"{what}[{name!r}]")
        series.append(_series(str(name), values))
    lengths = {one.len() for one in series}
    if len(lengths) > 1:
        raise unfit(columns, f"columns of one length, not of {sorted(lengths)} rows", what=what)
    return pl.DataFrame(series)


def require_polars() -> None:
    """Return when polars can be imported.

    Raises:
        HpsearchError: It is not installed; the message says how to install it.
    """
    if importlib.util.find_spec("polars") is None:
        msg = "data frames and arrays need polars, which is not installed here: run  pip install 'hpsearch[notebook]'"
        raise HpsearchError(msg, code="install.missing_part")


def _kind_of(data: object) -> str:
    """Return the package and class a value is of, or inherits from, as far as this module knows it."""
    known = {"polars.DataFrame", "polars.LazyFrame", "pandas.DataFrame", "numpy.ndarray", "pandas.Series"}
    for kind in type(data).__mro__:
        name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
        if name in known:
            return name
    return ""


def _target_of(y: Any, target: str | None, frame: pl.DataFrame) -> pl.Series:
    values = y
    if _kind_of(y) == "pandas.DataFrame" and y.shape[1] == 1:
        values = y.iloc[:, 0]
    if isinstance(values, str | bytes) or not isinstance(values, Iterable) or not hasattr(values, "__len__"):
        raise unfit(y, "one value for each row: an array, a series or a list", what=f"{_UPLOAD}: y")
    name = target or getattr(values, "name", None) or _TARGET
    goal = _series(str(name), values)
    if goal.len() != frame.height:
        msg = f"{_UPLOAD}: y has {goal.len()} values for {frame.height} rows; expected one for each"
        raise InvalidInputError(msg, code="argument.invalid")
    if goal.name in frame.columns:
        msg = f"{_UPLOAD}: the data have a column {goal.name!r} already; name the target otherwise, with target=…"
        raise InvalidInputError(msg, code="argument.invalid")
    return goal


def _series(name: str, values: Any) -> pl.Series:
    """Return one column: numbers and truth values as they are, dates as dates, all else as texts.

    Raises:
        InvalidInputError: A value is none of these, such as a list.
    """
    import polars as pl

    if isinstance(values, pl.Series):
        return values.alias(name)
    dtype = getattr(values, "dtype", None)
    letter = getattr(dtype, "kind", "O")
    is_numpy = type(dtype).__module__.startswith("numpy")
    if is_numpy and letter in _NUMERIC_KINDS:
        plain = values.to_numpy() if hasattr(values, "to_numpy") else values
        if plain.ndim > 1:
            plain = plain.reshape(len(plain), -1)[:, 0] if plain.size == len(plain) else plain
        if letter == "f":
            plain = plain.astype("float64")
        return pl.Series(name, plain.astype(plain.dtype.newbyteorder("=")))
    if is_numpy and letter == "M":
        plain = values.to_numpy() if hasattr(values, "to_numpy") else values
        return pl.Series(name, plain.astype("datetime64[us]"))
    return _from_objects(name, list(values))


def _from_objects(name: str, values: list[Any]) -> pl.Series:
    import polars as pl

    plain = [None if _is_missing(value) else _plain(value) for value in values]
    present = [value for value in plain if value is not None]
    kinds = {type(value) for value in present}
    if kinds <= {bool} or kinds <= {int}:
        return pl.Series(name, plain, dtype=pl.Boolean if kinds == {bool} else pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(name, [None if value is None else float(value) for value in plain], dtype=pl.Float64)
    odd = next((value for value in present if not isinstance(value, str | int | float | bool)), None)
    if odd is not None:
        if hasattr(odd, "isoformat"):
            return pl.Series(name, [None if value is None else str(value) for value in plain], dtype=pl.String)
        msg = f"column {name!r} holds {shown(odd)}; expected numbers, texts, dates or truth values"
        raise InvalidInputError(msg, code="dataset.invalid_value", details={"column": name})
    return pl.Series(name, [None if value is None else str(value) for value in plain], dtype=pl.String)


def _plain(value: Any) -> Any:
    """Return numpy's numbers and texts as Python's."""
    return value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value


def _is_missing(value: Any) -> bool:
    """Return whether a value stands for a missing one: None, NaN, pandas's NA and NaT."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value  # noqa: PLR0124 - NaN alone differs from itself
