"""Predicting with a model file: columns by name, one prediction per row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hpsearch.data.links import class_probabilities
from hpsearch.data.reading.cells import plain_texts, read_cells
from hpsearch.data.reading.open_file import read_file
from hpsearch.domain.dataset import ColumnKind
from hpsearch.domain.task import TASKS
from hpsearch.errors import InvalidDatasetError, InvalidInputError
from hpsearch.model_card import CardColumn, ModelCard, read_card

if TYPE_CHECKING:
    import polars as pl

Raw = npt.NDArray[Any] | dict[str, npt.NDArray[Any]]

_LISTED = 5
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Prediction:
    """What a model says of one row.

    Attributes:
        value: The likeliest class's label, or the predicted number.
        probabilities: By class label, in the model's order; None for regression.
    """

    value: str | float
    probabilities: dict[str, float] | None = None


def predict_file(model: Path, data: Path) -> list[Prediction]:
    """Return one prediction per row of a CSV, Parquet or NPZ file, in its order.

    Args:
        model: A `.keras` file that hpsearch wrote.
        data: With every column the model reads, by name and in any order; others, such as the target, are ignored.

    Raises:
        InvalidInputError: The model can not be read, or the data can not be read or lack columns.
    """
    card = read_card(model)
    raw = read_file(data, known=[column.name for column in card.columns], needs_target=False)
    return _predict(model, card, raw.frame, typed=raw.typed)


def predict(model: Path, rows: pl.DataFrame) -> list[Prediction]:
    """Return one prediction per row of a polars frame, in its order.

    Args:
        model: A `.keras` file that hpsearch wrote.
        rows: With every column the model reads, by name and in any order; null or NaN where missing.

    Raises:
        InvalidInputError: The model can not be read, or the frame lacks columns or holds texts for numbers.
    """
    return _predict(model, read_card(model), rows, typed=True)


def _predict(path: Path, card: ModelCard, frame: pl.DataFrame, *, typed: bool) -> list[Prediction]:
    raw = raw_rows(card, frame, typed=typed)
    # After all complaints about the data: importing TensorFlow takes seconds.
    from workers.training.keras_networks.quick_start import quick_start

    with quick_start():
        model = load_model(path)
    outputs = outputs_of(card, model, raw)
    if not TASKS[card.task].has_classes:
        return [Prediction(float(value)) for value in outputs[:, 0]]
    likeliest = outputs.argmax(axis=1)
    return [
        Prediction(card.classes[best], dict(zip(card.classes, row.tolist(), strict=True)))
        for best, row in zip(likeliest.tolist(), outputs, strict=True)
    ]


def raw_rows(card: ModelCard, frame: pl.DataFrame, *, typed: bool) -> Raw:
    """Return the rows of a frame in the form the model takes.

    Args:
        card: Of the model.
        frame: With every column the model reads, by name and in any order.
        typed: Whether the frame says which columns are numbers, or all are texts.

    Raises:
        InvalidDatasetError: The frame lacks columns, or holds texts where the model reads numbers.
    """
    missing = [column.name for column in card.columns if column.name not in frame.columns]
    if missing:
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        msg = (
            f"the data lack {len(missing)} of the {len(card.columns)} columns the model reads: "
            f"{', '.join(missing[:_LISTED])}{more}; add them, under these names"
        )
        raise InvalidDatasetError(msg, code="predict.missing_columns", details={"missing": list(missing)})
    values = [_values(frame[column.name], column, typed=typed) for column in card.columns]
    if card.form == "matrix":
        return np.concatenate(values, axis=1)
    return {str(column.input): rows for column, rows in zip(card.columns, values, strict=True)}


def load_model(path: Path) -> Any:
    """Return the Keras model of a file.

    Raises:
        InvalidInputError: Keras can not load it.
    """
    import keras

    if path.suffix != ".keras":
        msg = f"the model {str(path)!r} must have a name that ends in .keras; rename it"
        raise InvalidInputError(msg, code="model.invalid")
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        msg = f"{str(path)!r} can not be loaded by Keras {keras.__version__}: {str(error)[:200]}"
        raise InvalidInputError(msg, code="model.invalid") from error


def outputs_of(card: ModelCard, model: Any, raw: Raw) -> npt.NDArray[np.float64]:
    """Return what a loaded model says of rows.

    Returns:
        (n, n_classes) probabilities in the order of the card's classes; (n, 1) numbers for regression.
    """
    from workers.training.model_files.outputs import predict_raw

    return class_probabilities(card.task, predict_raw(model, raw))


def _values(series: pl.Series, column: CardColumn, *, typed: bool) -> npt.NDArray[Any]:
    """Return the column as the model takes it: (n, 1) float32 with NaN, or (n, 1) texts with ""."""
    import polars as pl

    if column.kind == ColumnKind.CATEGORICAL:
        texts = plain_texts(series.cast(pl.String), typed=typed).fill_null("")
        return np.array(texts.to_list(), dtype=object).reshape(-1, 1)
    # Numbers written as texts are numbers here, also in a typed file: the model knows that the column is numeric.
    cells = read_cells(series, typed=typed and series.dtype != pl.String)
    if cells.form == "text":
        numbers = cells.values.cast(pl.Float64, strict=False)
        row = int((cells.values.is_not_null() & numbers.is_null()).arg_true()[0])
        msg = (
            f"row {row + 1} of column {column.name!r} holds {str(series[row])[:40]!r}, but the model reads numbers "
            "there; correct it or leave the cell empty"
        )
        raise InvalidDatasetError(msg, code="predict.not_a_number", details={"row": row + 1, "column": column.name})
    plain = np.asarray(cells.values.cast(pl.Float64).fill_null(float("nan")).to_numpy(), dtype=np.float64)
    held: npt.NDArray[np.float32] = np.clip(plain, -_LARGEST, _LARGEST).astype(np.float32)
    return held.reshape(-1, 1)
