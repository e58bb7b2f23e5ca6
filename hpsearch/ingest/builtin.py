"""The small data sets that come with scikit-learn, under their real column names and class labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpsearch.ingest.describe import Described

_TARGETS: Final = {
    "digits": "digit",
    "iris": "species",
    "wine": "cultivar",
    "breast_cancer": "diagnosis",
    "diabetes": "progression",
}


def builtin(name: str) -> Described:
    """Return one of scikit-learn's built-in sets.

    digits: 1,797 pictures of 8 x 8 pixels, 10 classes. iris: 150 x 4, 3 classes. wine: 178 x 13, 3 classes.
    breast_cancer: 569 x 30, malignant or benign. diabetes: 442 x 10, regression, inputs as scikit-learn scales them.

    Args:
        name: One of `hpsearch.domain.study.BUILTIN_DATASETS`.
    """
    import polars as pl
    from sklearn import datasets

    from hpsearch.data.reading.raw import RawColumns
    from hpsearch.ingest.describe import describe

    load: Callable[[], Any] = getattr(datasets, f"load_{name}")
    bunch = load()
    target = _TARGETS[name]
    columns = [pl.Series(str(column), bunch.data[:, k].copy()) for k, column in enumerate(bunch.feature_names)]
    if name == "diabetes":
        frame = pl.DataFrame([*columns, pl.Series(target, bunch.target)])
        return describe(RawColumns(frame, typed=True), target=target, task="regression")
    classes = tuple(str(label) for label in bunch.target_names)
    frame = pl.DataFrame([*columns, pl.Series(target, [classes[code] for code in bunch.target])])
    return describe(RawColumns(frame, typed=True), target=target, classes=classes)
