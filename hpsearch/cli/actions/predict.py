"""Action of `predict`: a model file and a data file, both on this machine."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpsearch import _layout
from hpsearch.cli.actions.run_summary import check_out, check_readable
from hpsearch.cli.console import emit, note, safe
from hpsearch.client.objects.quiet import quiet
from hpsearch.errors import InvalidInputError
from hpsearch.wording.figures import count

HEADING = "prediction"


def predict(model: Path, data: Path, *, out: Path | None, probabilities: bool, as_json: bool) -> None:
    """Print or write one prediction per row of ``data``, in its order: a class label, or a number with nine digits.

    Args:
        model: A `.keras` file that hpsearch wrote.
        data: CSV, Parquet or NPZ with the columns the model reads.
        out: CSV file to write; None prints.
        probabilities: Whether each class has a column of its own, too.
        as_json: Print one JSON document instead, which always holds the probabilities.

    Raises:
        HpsearchError: A file can not be read or written, the data lack columns the model reads, or a package is
            missing.
    """
    check_readable(model)
    check_readable(data)
    target = None if out is None else check_out(out)
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its greetings are no part of the result
    # What it needs is imported as late as can be, so that complaints about the data come first.
    with quiet(), _layout.needing("workers", "the part that predicts"):
        found = _layout.load("workers.training.model_files.predict").predict_file(model, data)
    if as_json:
        emit({"predictions": [asdict(prediction) for prediction in found]})
        return
    text = _csv(found, probabilities=probabilities)
    if target is not None:
        target.write_text(text, encoding="utf-8")
        note(f"{count(len(found), 'prediction')} written to {out}.")
    else:
        sys.stdout.write(safe(text) if sys.stdout.isatty() else text)


def _csv(predictions: Sequence[Any], *, probabilities: bool) -> str:
    labels = _labels(predictions) if probabilities else []
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([HEADING, *(f"probability_{label}" for label in labels)])
    for prediction in predictions:
        of_class = prediction.probabilities or {}
        rows.writerow([_plain(prediction.value), *(_plain(of_class[label]) for label in labels)])
    return text.getvalue()


def _labels(predictions: Sequence[Any]) -> list[str]:
    if predictions and predictions[0].probabilities is None:
        msg = "the model predicts a number and knows no probabilities; leave --probabilities out"
        raise InvalidInputError(msg, code="predict.no_probabilities")
    return list(predictions[0].probabilities) if predictions else []


def _plain(value: str | float) -> str:
    return f"{value:.9g}" if isinstance(value, float) else value
