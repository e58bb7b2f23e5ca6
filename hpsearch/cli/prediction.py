"""What `predict` does: a model file and a data file, both on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

from hpsearch import _layout
from hpsearch.cli.console import emit, safe
from hpsearch.cli.outcome import check_readable
from hpsearch.interactive.quiet import quiet


def predict(model: Path, data: Path, *, as_json: bool) -> None:
    """Print one prediction per row of ``data``, in its order: a class label, or a number with nine digits.

    Raises:
        HpsearchError: A file can not be read, or the data lack columns the model reads.
    """
    check_readable(model)
    check_readable(data)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its greetings are no part of the result
    with quiet():
        predictions = _layout.load("workers.training.model_files.predict").predict_file(model, data)
    if as_json:
        emit({"predictions": [asdict(prediction) for prediction in predictions]})
        return
    for prediction in predictions:
        value = prediction.value
        print(f"{value:.9g}" if isinstance(value, float) else safe(value).replace("\n", "\\n"))
