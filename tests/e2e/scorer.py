"""A process that knows nothing of hpsearch: only Keras and numpy, and models whose own graph takes raw rows."""

# ruff: noqa: E501 - the lines of the script below

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np

# Reads lines of JSON, `{model, rows}`, and answers each with a line: what the model predicts of the rows. Keras takes
# seconds to import: once for all models of a file of tests.
_PROGRAM: Final = """
import json, sys
import keras, numpy as np
for line in sys.stdin:
    asked = json.loads(line)
    rows = json.load(open(asked["rows"]))
    if "matrix" in rows:
        inputs = np.array(rows["matrix"], dtype="float32")
    else:
        inputs = {n: np.array(v, dtype="object" if isinstance(v[0][0], str) else "float32") for n, v in rows["columns"].items()}
        inputs = {n: keras.ops.convert_to_tensor(v.astype(str).tolist() if v.dtype == object else v) for n, v in inputs.items()}
    model = keras.models.load_model(asked["model"])
    print(json.dumps(np.asarray(model(inputs)).tolist()), flush=True)
"""


@dataclass(frozen=True)
class Scorer:
    """The running process.

    Attributes:
        process: With pipes.
        log: What it writes to stderr.
    """

    process: subprocess.Popen[str]
    log: Path

    def predictions(self, model: Path, rows: dict[str, Any], folder: Path) -> np.ndarray:
        """Return what a model file predicts.

        Args:
            model: The file.
            rows: `{"matrix": rows of numbers}`, or `{"columns": columns of rows of one value, by name}`.
            folder: Takes the rows.
        """
        path = folder / "rows.json"
        path.write_text(json.dumps(rows))
        asked, answers = _pipes(self.process)
        asked.write(json.dumps({"model": str(model), "rows": str(path)}) + "\n")
        asked.flush()
        answer = answers.readline()
        assert answer, self.log.read_text()[-2000:]
        return np.array(json.loads(answer))


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


@contextmanager
def scorer(folder: Path) -> Iterator[Scorer]:
    """Run a process in a folder."""
    log = folder / "scorer.log"
    with (
        log.open("w") as sink,
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True, cwd=folder,
        ) as process,
    ):  # fmt: skip
        yield Scorer(process, log)
        process.kill()
