"""Point 3: members do not touch each other, bit for bit; padding is exactly zero; a refilled slot starts afresh."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hpsearch.domain.mlp import Activation, Optimizer
from hpsearch.domain.strict import Scalar
from hpsearch.domain.training import Training
from workers.training.fused.pack import Pack
from workers.training.fused.verify import Finding
from workers.training.fused.verify.bench import Bench, Case, Curve, gap, union

_BASE: dict[str, Scalar] = {"layers": 2, "batch_size": 13}
_N_EPOCHS: Final = 4
# Those that differ most in how they are computed; more would only make the programs slower to compile.
_ACTIVATIONS: Final[tuple[Activation, ...]] = ("relu", "sigmoid", "gelu", "selu")
_N_STEPS: Final = 25
# A data set of each task, rows per step that make 1,024 or more in a pack of 64, and whether all features are on: what
# XLA computes otherwise in large packs differs with them.
_LARGE: Final = {"digits": (64, True), "breast_cancer": (64, True), "diabetes": (32, False)}


def cases() -> list[Case]:
    """Return eight unlike members of one pack."""
    training = Training(max_epochs=_N_EPOCHS, early_stopping=None)
    optimizers = get_args(Optimizer)
    return [
        Case(
            _BASE
            | {
                "units_1": 3 + 7 * number,
                "units_2": 60 - 7 * number,
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
        for number in range(8)
    ]


def check() -> list[Finding]:
    """Return one finding for each way in which members could touch; in float32, where rounding would show at once."""
    bench = Bench("iris", "float32")
    whole = cases()
    curves = bench.fused(whole, 8)
    findings = [
        Finding(3, "members in reverse order", _apart(bench.fused(whole[::-1], 8)[::-1], curves), 0.0),
        Finding(3, "each alone, in a program that has what it needs", _each_alone(bench, whole, curves), 0.0),
        Finding(3, "packs of 4, slots refilled", _apart(bench.fused(whole, 4), curves), 0.0),
        Finding(3, "a pack of 16", _apart(bench.fused(whole, 16), curves), 0.0),
        Finding(3, "beside a member that diverges", _beside_divergence(bench, whole, curves), 0.0),
        Finding(3, "a slot that held a diverged member", _after_divergence(bench, whole, curves), 0.0),
        Finding(3, "a slot left empty by a diverged member for a while", _after_a_gap(bench, whole, curves), 0.0),
        Finding(3, "in a pack cut down to 4 slots half way", _cut_down(bench, whole, curves), 0.0),
    ]
    return [*findings, uneven(), *large_packs(), *padding()]


def uneven() -> Finding:
    """Return how far members whose layers are padded unlike are apart in packs of 4 and of 16.

    On a GPU, where all packs of a shape have one size and layers are padded alike: in other slots of a pack.
    """
    bench = Bench("digits", "float32")
    many = list(uneven_pack(16))
    if tf.config.list_physical_devices("GPU"):
        return _other_slots("digits, layers of unlike widths", bench, many)
    distance = _apart(bench.fused(many, 16)[:4], bench.fused(many[:4], 4))
    return Finding(3, "digits, layers padded unlike, a pack of 16", distance, 0.0)


def uneven_pack(n: int) -> Iterator[Case]:
    """Return members of one pack, the second of three layers narrow."""
    for number in range(n):
        yield Case(
            {
                "layers": 3,
                "units_1": 130 + number,
                "units_2": 30 + number,
                "units_3": 250 - number,
                "batch_size": 32,
                "optimizer": "adamw",
                "batch_norm": number % 2 == 0,
                "dropout": 0.1,
                "learning_rate": 1e-3,
            },
            number + 1,
            Training(max_epochs=2, early_stopping=None),
        )


def large_packs(sizes: Sequence[int] = (64, 256)) -> list[Finding]:
    """Return how far four members are apart in a pack of 4 and in large ones, where XLA may compute otherwise.

    On a GPU, where all packs of a shape have one size (`cost.gpu_slots`): in other slots of a pack of the first size.

    Args:
        sizes: Slots of the large packs.
    """
    findings = []
    for name, (batch_size, is_rich) in _LARGE.items():
        bench = Bench(name, "float32")
        many = [_one_of_many(number, batch_size, is_rich=is_rich) for number in range(max(sizes))]
        if tf.config.list_physical_devices("GPU"):
            findings.append(_other_slots(name, bench, many[: sizes[0]]))
            continue
        alone = bench.fused(many[:4], 4)
        findings += [
            Finding(3, f"{name}, a pack of {n_slots}", _apart(bench.fused(many[:n_slots], n_slots)[:4], alone), 0.0)
            for n_slots in sizes
        ]
    return findings


def _other_slots(what: str, bench: Bench, many: list[Case]) -> Finding:
    ahead, behind = bench.fused(many, len(many)), bench.fused(many[::-1], len(many))
    return Finding(3, f"{what}, other slots of a pack of {len(many)}", _apart(behind[::-1], ahead), 0.0)


def _each_alone(bench: Bench, whole: list[Case], curves: list[Curve]) -> float:
    return max(_apart(bench.fused([case], 4), [curve]) for case, curve in zip(whole, curves, strict=True))


def _one_of_many(number: int, batch_size: int, *, is_rich: bool) -> Case:
    params: dict[str, Scalar] = {
        "layers": 1,
        "units": 64 - number % 5,
        "batch_size": batch_size,
        "optimizer": "adamw",
        "weight_decay": 1e-3,
        "learning_rate": 1e-3,
    }
    if is_rich:
        params |= {
            "batch_norm": number % 2 == 0,
            "optimizer": ("adamw", "rmsprop")[number // 2 % 2],
            "dropout": 0.1,
        }
    return Case(params, number + 1, Training(max_epochs=2, early_stopping=None))


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
    got = bench.fused(disturbed, 8)
    if got[3].stop_reason is not None:
        return float("inf")
    return _apart([*got[:3], *got[4:]], [*curves[:3], *curves[4:]])


def _after_divergence(bench: Bench, whole: list[Case], curves: list[Curve]) -> float:
    got = bench.fused([*[_diverging(whole[3])] * 4, *whole[:4]], 4)
    return _apart(got[4:], curves[:4])


def _after_a_gap(bench: Bench, whole: list[Case], curves: list[Curve]) -> float:
    """Return how far a late joiner is apart whose slot went through an epoch with a dead member's weights."""
    pack = bench.pack([*whole[:3], _diverging(whole[3])], 4, traits=union(whole))
    # One whose best weights are not its last, so that they come from where the dead member's were.
    place = next(place for place, curve in enumerate(curves) if curve.best_epoch < len(curve.history))
    joiner = bench.member(whole[place])
    weights = None
    while weights is None:
        pack.conclude(pack.run())
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


def _cut_down(bench: Bench, whole: list[Case], curves: list[Curve]) -> float:
    traits = union(whole)
    pack = bench.pack(whole, 8, traits=traits)
    pack.conclude(pack.run())
    for slot in (0, 2, 3, 4, 6):
        pack.release(slot)
    pack = pack.resized(bench.program_like(pack, 4))
    members = [pack.members[slot] for slot in sorted(pack.members)]
    weights: dict[Any, Any] = {}
    while pack.members:
        pack.conclude(pack.run())
        for slot, member in sorted(pack.members.items()):
            if member.is_over:
                weights[member] = pack.best_weights(slot)()
                pack.release(slot)
    got = [Curve(tuple(member.history), member.best_epoch, member.stop_reason, weights[member]) for member in members]
    return _apart(got, [curves[1], curves[5], curves[7]])


def padding() -> list[Finding]:
    """Return the largest number found in padding after each single step, with everything switched on."""
    bench = Bench("iris", "float32")
    n_rows = bench.data.n_rows
    training = Training(max_epochs=_N_STEPS, early_stopping=None)
    whole = [
        # Every epoch is one step; without the diverging kind of dropout, so that nothing ends early.
        Case(case.params | {"batch_size": n_rows, "batch_norm": number % 2 == 0}, case.seed, training)
        for number, case in enumerate(cases())
    ]
    pack = bench.pack(whole, 8)
    worst = dict.fromkeys(("weights", "averages", "first", "second"), 0.0)
    for _ in range(_N_STEPS):
        pack.conclude(pack.run())
        for name, padded in _padding_of(pack):
            worst[name] = max(worst[name], padded)
    return [Finding(3, f"padding of {name}, after each of {_N_STEPS} steps", worst[name], 0.0) for name in worst]


def _padding_of(pack: Pack) -> Iterator[tuple[str, float]]:
    tensors = pack.tensors()
    per_layer = 4 if pack.key.traits.batch_norm else 2
    for slot, member in pack.members.items():
        widths = (pack.key.n_inputs, *member.config.units, pack.key.n_outputs)
        for name in ("weights", "first", "second"):
            for place, tensor in enumerate(tensors[name]):
                layer, kind = (
                    divmod(place, per_layer) if place < per_layer * pack.key.depth else (pack.key.depth, place)
                )
                is_kernel = place % per_layer == 0 and place <= per_layer * pack.key.depth
                is_normal = kind in (2, 3) and layer < pack.key.depth
                n_in = widths[layer] if is_kernel else 1
                n_out = 0 if is_normal and not member.config.batch_norm else widths[layer + 1]
                yield name, _outside(tensor[slot], n_in, n_out)
        for place, tensor in enumerate(tensors["averages"]):
            n_out = widths[place // 2 + 1] if member.config.batch_norm else 0
            yield "averages", _outside(tensor[slot], 1, n_out)


def _outside(matrix: npt.NDArray[Any], n_in: int, n_out: int) -> float:
    rest = matrix.copy()
    rest[:n_in, :n_out] = 0
    return float(np.abs(rest).max()) if np.isfinite(rest).all() else float("inf")
