"""The small data sets that come with scikit-learn, under their real column names and class labels.

They are read from the files it brings along: importing it takes a second, in which a study that is about to begin would
wait, and 60 MB. `tests/ingest` compares them with what its own functions return, bit by bit.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.ingest.describe import Described

_TARGETS: Final = {
    "digits": "digit",
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "diabetes": "progression",
}
_FILES: Final = {"iris": "iris.csv", "wine": "wine_data.csv", "breast_cancer": "breast_cancer.csv"}
_CELLS: Final = (
    *("radius", "texture", "perimeter", "area", "smoothness"),
    *("compactness", "concavity", "concave points", "symmetry", "fractal dimension"),
)
_COLUMNS: Final = {
    "digits": tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
    "iris": ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"),
    "wine": (
        *("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"),
        *("nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines"),
        "proline",
    ),
    "breast_cancer": (
        *(f"mean {cell}" for cell in _CELLS),
        *(f"{cell} error" for cell in _CELLS),
        *(f"worst {cell}" for cell in _CELLS),
    ),
    "diabetes": ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"),
}


def builtin(name: str) -> Described:
    """Return one of scikit-learn's built-in sets.

    digits: 1,797 pictures of 8 x 8 pixels, 10 classes. iris: 150 x 4, 3 classes. wine: 178 x 13, 3 classes.
    breast_cancer: 569 x 30, malignant or benign. diabetes: 442 x 10, regression, inputs as scikit-learn scales them.

    Args:
        name: One of `hpsearch.domain.study.BUILTIN_DATASETS`.
    """
    import polars as pl

    from hpsearch.data.reading.raw import RawColumns
    from hpsearch.ingest.describe import describe

    data, labels, classes = table(name)
    columns = [pl.Series(column, data[:, k].copy()) for k, column in enumerate(_COLUMNS[name])]
    target = _TARGETS[name]
    if name == "diabetes":
        frame = pl.DataFrame([*columns, pl.Series(target, labels)])
        return describe(RawColumns(frame, typed=True), target=target, task="regression")
    frame = pl.DataFrame([*columns, pl.Series(target, [classes[code] for code in labels])])
    return describe(RawColumns(frame, typed=True), target=target, classes=classes)


def table(name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], tuple[str, ...]]:
    """Return the inputs, the targets (numbers of classes, or values) and the classes' labels of a set."""
    import numpy as np

    if name == "digits":
        data = _numbers("digits.csv.gz", ",")
        return data[:, :-1], data[:, -1].astype(int), tuple(str(digit) for digit in range(10))
    if name == "diabetes":
        return _scaled(_numbers("diabetes_data_raw.csv.gz", None)), _numbers("diabetes_target.csv.gz", None), ()
    with (_folder() / _FILES[name]).open(encoding="utf-8", newline="") as file:
        # Of the first line: rows, inputs, labels of the classes.
        (_, _, *classes), *rows = csv.reader(file)
    data = np.array([row[:-1] for row in rows], dtype=np.float64)
    return data, np.array([int(row[-1]) for row in rows]), tuple(classes)


def _folder() -> Path:
    spec = importlib.util.find_spec("sklearn")  # finds it without importing it
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(name="sklearn")
    return Path(spec.origin).parent / "datasets" / "data"


def _numbers(file: str, delimiter: str | None) -> np.ndarray[Any, Any]:
    import numpy as np

    with gzip.open(_folder() / file, "rt", encoding="ascii") as lines:
        data: np.ndarray[Any, Any] = np.loadtxt(lines, delimiter=delimiter)
        return data


def _scaled(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return columns of mean 0 and length 1, with the rounding errors of scikit-learn's `scale`."""
    import numpy as np

    deviation = np.nanstd(data, axis=0)
    scaled: np.ndarray[Any, Any] = data - np.nanmean(data, axis=0)
    if not np.allclose(first := np.nanmean(scaled, axis=0), 0):
        scaled -= first
    scaled /= deviation
    if not np.allclose(second := np.nanmean(scaled, axis=0), 0):
        scaled -= second
    scaled /= len(data) ** 0.5
    return scaled
