"""Point 3: members do not touch each other, bit for bit; padding is exactly zero; a refilled slot starts afresh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt

from hpsearch.domain.mlp import Activation, Optimizer
from hpsearch.domain.strict import Scalar
from hpsearch.domain.training import Training
from workers.training.fused.pack import Pack
from workers.training.fused.verify import Finding
from workers.training.fused.verify.bench import Bench, Case, Curve, gap

_N_EPOCHS: Final = 4
# Those that differ most in how they are computed; more would only make the programs slower to compile.
_ACTIVATIONS: Final[tuple[Activation, ...]] = ("relu", "sigmoid", "gelu", "selu")
_N_STEPS: Final = 25
_N_SLOTS: Final = 8
# Of a layer's weights, kernel and bias come first, then scale and shift.
_SCALE: Final = 2


def cases() -> list[Case]:
    """Return eight unlike members of one pack: none to four hidden layers, steps of 13, 20 or 40 rows."""
    training = Training(max_epochs=_N_EPOCHS, early_stopping=None)
    optimizers = get_args(Optimizer)
    widths: list[dict[str, Scalar]] = [
        {f"units_{layer}": 3 + (7 * number + 11 * layer) % 60 for layer in range(1, 5)} for number in range(_N_SLOTS)
    ]
    return [
        Case(
            widths[number]
            | {
                "layers": (2, 1, 4, 2, 0, 3, 2, 1)[number],
                "batch_size": (13, 20, 40, 13)[number % 4],
                "optimizer": optimizers[number % 7],
                "activation": _ACTIVATIONS[number % 4],
                "batch_norm": number % 3 == 0,
                "dropout": 0.2 if number % 2 else 0.0,
                "input_dropout": 0.1 if number % 4 == 1 else 0.0,
                "weight_decay": 1e-3,
                "learning_rate": 0.003 * (number + 1),
            },
            number,
            training,
        )
        for number in range(_N_SLOTS)
    ]


def check(data: Sequence[str] = ("iris", "breast_cancer", "diabetes")) -> list[Finding]:
    """Return one finding for each way in which members could touch; in float32, where rounding would show at once.

    All in packs of one program: a study has no others, see `program_set`.

    Args:
        data: Names of data sets.
    """
    findings = []
    for name in data:
        bench = Bench(name, "float32")
        whole = cases()
        curves = bench.fused(whole)
        findings += [
            Finding(3, f"{what}: {name}", distance, 0.0)
            for what, distance in {
                "members in reverse order": _apart(bench.fused(whole[::-1])[::-1], curves),
                "each alone": _each_alone(bench, whole, curves),
                "slots refilled": _apart(
                    bench.fused([*whole[3:], *whole[:3], *whole]), [*curves[3:], *curves[:3], *curves]
                ),
                "beside a member that diverges": _beside_divergence(bench, whole, curves),
                "a slot that held a diverged member": _after_divergence(bench, whole, curves),
                "a slot left empty by a diverged member for a while": _after_a_gap(bench, whole, curves),
            }.items()
        ]
    return [*findings, *padding()]


def _each_alone(bench: Bench, whole: list[Case], curves: list[Curve]) -> float:
    alone = [bench.fused([case], like=whole) for case in whole]
    return max(_apart(one, [curve]) for one, curve in zip(alone, curves, strict=True))


def _apart(left: list[Curve], right: list[Curve]) -> float:
    worst = 0.0
    for one, other in zip(left, right, strict=True):
        if one.history != other.history:
            return float("inf")
        worst = max(worst, gap(one.weights, other.weights))
    return worst


def _diverging(case: Case) -> Case:
    return Case(case.params | {"optimizer": "sgd", "learning_rate": 1e3, "activation": "relu"}, 77, case.training)


def _beside_divergence(bench: Bench, whole: list[Case], curves: list[Curve]) -> float:
    disturbed = [*whole[:3], _diverging(whole[3]), *whole[4:]]
    got = bench.fused(disturbed, like=whole)
    if got[3].stop_reason is not None:
        return float("inf")
    return _apart([*got[:3], *got[4:]], [*curves[:3], *curves[4:]])


def _after_divergence(bench: Bench, whole: list[Case], curves: list[Curve]) -> float:
    got = bench.fused([*[_diverging(whole[3])] * _N_SLOTS, *whole], like=whole)
    return _apart(got[_N_SLOTS:], curves)


def _after_a_gap(bench: Bench, whole: list[Case], curves: list[Curve]) -> float:
    """Return how far a late joiner is apart whose slot went through an epoch with a dead member's weights."""
    pack = bench.pack(bench.key(whole, _N_SLOTS), [*whole[:3], _diverging(whole[3]), *whole[4:]])
    # One whose best weights are not its last, so that they come from where the dead member's were.
    place = next((place for place, curve in enumerate(curves) if curve.best_epoch < len(curve.history)), 0)
    joiner = bench.member(whole[place])
    weights = None
    while weights is None:
        pack.record(pack.run())
        if joiner.is_over:
            ((slot, _),) = [pair for pair in pack.members.items() if pair[1] is joiner]
            weights = pack.best_weights(slot)()
        elif pack.n_free and joiner not in pack.members.values():
            pack.admit([joiner])
        for slot, member in list(pack.members.items()):
            # The dead one leaves a moment late, so that its slot is trained once more before it is given away.
            if member.is_over and member is not joiner and pack.n_epochs > 1:
                pack.release(slot)
    got = Curve(tuple(joiner.history), joiner.best_epoch, joiner.stop_reason, weights)
    return _apart([got], [curves[place]])


def padding() -> list[Finding]:
    """Return the largest number found in padding after each single step, with everything switched on.

    Padding are units, scales and shifts, and whole layers, that a member does not have.
    """
    bench = Bench("iris", "float32")
    n_rows = bench.data.n_rows
    training = Training(max_epochs=_N_STEPS, early_stopping=None)
    whole = [
        # Every epoch is one step; without the diverging kind of dropout, so that nothing ends early.
        Case(case.params | {"batch_size": n_rows, "batch_norm": number % 2 == 0}, case.seed, training)
        for number, case in enumerate(cases())
    ]
    pack = bench.pack(bench.key(whole, _N_SLOTS), whole)
    worst = dict.fromkeys(("weights", "averages", "first", "second"), 0.0)
    for _ in range(_N_STEPS):
        pack.record(pack.run())
        for name, padded in _padding_of(pack):
            worst[name] = max(worst[name], padded)
    return [Finding(3, f"padding of {name}, after each of {_N_STEPS} steps", worst[name], 0.0) for name in worst]


def _padding_of(pack: Pack) -> Iterator[tuple[str, float]]:
    key, tensors = pack.key, pack.tensors()
    per_layer = 4 if key.features.batch_norm else 2
    for slot, member in pack.members.items():
        config, depth = member.config, len(member.config.units)
        widths = (key.n_inputs, *config.units, key.n_outputs)
        # By layer of the program: rows and columns of the kernel that are the member's own.
        own = {key.place(layer, depth): (widths[layer], widths[layer + 1]) for layer in range(depth + 1)}
        normalised = {layer: widths[layer + 1] for layer in range(depth)} if config.batch_norm else {}
        for name in ("weights", "first", "second"):
            for place, tensor in enumerate(tensors[name]):
                layer, kind = min(place // per_layer, key.depth), place - per_layer * min(place // per_layer, key.depth)
                n_in, n_out = own.get(layer, (0, 0))
                if kind >= _SCALE:
                    n_out = normalised.get(layer, 0)
                yield name, _outside(tensor[slot], n_in if kind == 0 else 1, n_out)
        for place, tensor in enumerate(tensors["averages"]):
            yield "averages", _outside(tensor[slot], 1, normalised.get(place // 2, 0))


def _outside(matrix: npt.NDArray[Any], n_in: int, n_out: int) -> float:
    rest = matrix.copy()
    rest[:n_in, :n_out] = 0
    return float(np.abs(rest).max()) if np.isfinite(rest).all() else float("inf")
