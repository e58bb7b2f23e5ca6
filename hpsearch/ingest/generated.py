"""Data sets made from a seed: the same everywhere, for trying out and for benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from hpsearch.ingest.describe import Described

TARGET = "y"


def generated(name: str) -> Described:
    """Return one of the generated sets; inputs are x0, x1, …, the target is y.

    classification: 3,000 x 20, of which 10 informative and 4 linear combinations, 4 classes of 3 clusters each, 5 % of
    the labels random. quantiles: 3,000 x 12, 5 classes as shells of one Gaussian. friedman1: 2,000 x 10, regression,
    5 columns matter, noise 1. moons: 2,000 x 2, 2 classes as half circles, noise 0.25. churn: 6,400 x 11, binary, 20 %
    positive: the size of the churn set of the literature. medium: 20,000 x 50, 5 classes. large: 200,000 x 100,
    10 classes.

    Args:
        name: One of `hpsearch.domain.study.GENERATED_DATASETS`.
    """
    import polars as pl

    from hpsearch.data.reading.raw import RawColumns
    from hpsearch.ingest.describe import describe

    inputs, target = _made(name)
    columns = [pl.Series(f"x{k}", inputs[:, k].copy()) for k in range(inputs.shape[1])]
    frame = pl.DataFrame([*columns, pl.Series(TARGET, target)])
    return describe(RawColumns(frame, typed=True), target=TARGET, task="regression" if name == "friedman1" else None)


def _made(name: str) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    from sklearn import datasets

    if name == "classification":
        made = datasets.make_classification(
            3_000, 20, n_informative=10, n_redundant=4, n_classes=4, n_clusters_per_class=3, flip_y=0.05, random_state=1
        )
    elif name == "quantiles":
        made = datasets.make_gaussian_quantiles(n_samples=3_000, n_features=12, n_classes=5, random_state=2)
    elif name == "friedman1":
        made = datasets.make_friedman1(2_000, 10, noise=1.0, random_state=3)
    elif name == "moons":
        made = datasets.make_moons(2_000, noise=0.25, random_state=4)
    elif name == "churn":
        made = datasets.make_classification(
            6_400,
            11,
            n_informative=7,
            n_redundant=2,
            n_clusters_per_class=4,
            weights=[0.8],
            flip_y=0.03,
            random_state=5,
        )
    elif name == "medium":
        made = datasets.make_classification(
            20_000,
            50,
            n_informative=20,
            n_redundant=10,
            n_classes=5,
            n_clusters_per_class=4,
            flip_y=0.05,
            random_state=6,
        )
    else:
        made = datasets.make_classification(
            200_000,
            100,
            n_informative=30,
            n_redundant=20,
            n_classes=10,
            n_clusters_per_class=3,
            flip_y=0.05,
            random_state=7,
        )
    return made[0], made[1]
