"""What `predict` does: a model file and a data file, both on this machine."""

from __future__ import annotations

from pathlib import Path

from hpsearch import _layout
from hpsearch.cli.outcome import check_readable


def predict(model: Path, data: Path, *, as_json: bool) -> None:
    """Print one prediction per row of ``data``, in its order.

    Raises:
        HpsearchError: A file can not be read, or the data do not have the columns the model was trained on.
    """
    check_readable(model)
    check_readable(data)
    predictions = _layout.load("workers.training.predict").predict_file(model, data)
