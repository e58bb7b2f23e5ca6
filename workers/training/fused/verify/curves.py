"""Point 2: the same weights, losses, best and last epochs as plain Keras, in float64; one program a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, get_args

from hpsearch.domain.mlp import Activation, Optimizer
from hpsearch.domain.strict import Scalar
from hpsearch.domain.training import EarlyStopping, LrDecay, Training
from workers.training.fused.verify import Finding
from workers.training.fused.verify.bench import Bench, Case, apart

WEIGHTS_BOUND: Final = 1e-10
LOSS_BOUND: Final = 1e-9
# Two rows whose predictions differ in the last bit only may change places in a ranking.
METRICS_BOUND: Final = 1e-3
_DATA: Final = ("iris", "breast_cancer", "diabetes")
# With wider layers, and as many steps in fewer epochs.
_WIDE_DATA: Final = "digits"
_RATES: Final = {"sgd": 0.03, "momentum": 0.01, "nesterov": 0.01, "adagrad": 0.03}
# Steps of an epoch differ by data; about 400 in all.
_BATCHES: Final = {"iris": 8, "breast_cancer": 30, "diabetes": 24}


def cases(data: str, n_epochs: int) -> Iterator[Case]:
    """Return cases that cover every optimiser, activation, depth and switch, for one program of one data set.

    Args:
        data: Name of the data set.
        n_epochs: Of each case, 12 steps each, or fewer where its batches are larger.
    """
    decays = Training(
        max_epochs=n_epochs, early_stopping=EarlyStopping(patience=n_epochs), lr_decay=LrDecay(patience=3)
    )
    stops = Training(max_epochs=n_epochs, early_stopping=EarlyStopping(patience=4, min_delta=1e-3))
    batch_size = _BATCHES[data]
    base: dict[str, Scalar] = {"layers": 2, "units_1": 12, "units_2": 20, "batch_size": batch_size}
    seed = 0
    for optimizer in get_args(Optimizer):
        seed += 1
        rate = _RATES.get(optimizer, 0.002)
        yield Case(base | {"optimizer": optimizer, "learning_rate": rate, "weight_decay": 1e-3}, seed, decays)
    for activation in get_args(Activation):
        seed += 1
        yield Case(base | {"activation": activation, "learning_rate": 0.002}, seed, stops)
        yield Case(base | {"activation": activation, "batch_norm": True, "learning_rate": 0.002}, seed, decays)
    linear: dict[str, Scalar] = {"layers": 0, "learning_rate": 0.01, "weight_decay": 1e-3}
    yield Case(linear | {"batch_size": batch_size}, 90, decays)
    yield Case(linear | {"batch_size": 2 * batch_size, "optimizer": "momentum"}, 94, decays)
    yield Case({"layers": 1, "units": 100, "batch_size": batch_size, "init": "lecun_normal"}, 91, stops)
    three: dict[str, Scalar] = {"layers": 3, "units_1": 9, "units_2": 31, "units_3": 5, "batch_norm": True}
    yield Case(three | {"batch_size": 3 * batch_size + 1, "activation": "sigmoid"}, 93, decays)
    deep: dict[str, Scalar] = {"layers": 4, "units_1": 3, "units_2": 70, "units_3": 1, "units_4": 33}
    yield Case(deep | {"batch_size": batch_size, "activation": "tanh", "optimizer": "adamw"}, 92, decays)


def wide_cases(n_epochs: int) -> Iterator[Case]:
    """Return cases for a data set of more rows and inputs: wide layers beside narrow ones, three sizes of batches."""
    training = Training(max_epochs=n_epochs, early_stopping=None)
    for seed, units in enumerate([(150, 20), (20, 150), (140, 60, 200), (7, 130, 30)]):
        widths: dict[str, Scalar] = {f"units_{layer}": width for layer, width in enumerate(units, start=1)}
        kind: dict[str, Scalar] = {"layers": len(units), "batch_norm": seed % 2 == 1, "optimizer": "adamw"}
        yield Case(widths | kind | {"batch_size": (32, 64, 128)[seed % 3], "learning_rate": 0.002}, seed, training)


def check(
    data: Sequence[str] = (*_DATA, _WIDE_DATA), *, n_epochs: int = 34, every: int = 1, offset: int = 0
) -> list[Finding]:
    """Return how far curves and weights are from those of Keras.

    Args:
        data: Names of data sets.
        n_epochs: Of each case.
        every: Only each so manieth case; the others still decide what its program is like.
        offset: The first case.
    """
    findings = []
    for name in data:
        bench = Bench(name)
        whole = list(wide_cases(n_epochs // 6) if name == _WIDE_DATA else cases(name, n_epochs))
        chosen = whole[offset::every]
        for case, curve in zip(chosen, bench.fused(chosen, like=whole), strict=True):
            distance = apart(bench.reference(case), curve)
            what = f"{name}, {_short(case)}, {len(curve.history)} epochs"
            findings += [
                Finding(2, f"weights: {what}", distance["weights"], WEIGHTS_BOUND),
                Finding(2, f"losses: {what}", distance["loss"], LOSS_BOUND),
                Finding(2, f"other metrics: {what}", distance["metrics"], METRICS_BOUND),
            ]
    return findings


def drift(n_epochs: int = 34) -> list[Finding]:
    """Return how far float32 drifts from Keras in float32: rounding, which training amplifies; for information."""
    findings = []
    for name in _DATA:
        bench = Bench(name, "float32")
        chosen = [case for case in cases(name, n_epochs) if not case.config.batch_norm and len(case.config.units) == 2]  # noqa: PLR2004
        curves = bench.fused(chosen)
        for case, curve in zip(chosen, curves, strict=True):
            distance = apart(bench.reference(case), curve)
            findings.append(Finding(2, f"float32 weights: {name}, {_short(case)}", distance["weights"], float("inf")))
    return findings


def _short(case: Case) -> str:
    config = case.config
    layers = "-".join(str(width) for width in config.units) or "linear"
    switches = [config.optimizer, config.activation, *(["batch norm"] if config.batch_norm else [])]
    return f"{layers} {' '.join(switches)}"
