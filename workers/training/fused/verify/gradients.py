"""Point 5: gradients of the stacked layers agree with finite differences."""

from __future__ import annotations

from typing import Any, Final, get_args

import numpy as np
import tensorflow as tf

from hpsearch.domain.mlp import Activation
from hpsearch.domain.trial import Params
from workers.training.fused.graph import forward
from workers.training.fused.verify import Finding
from workers.training.fused.verify.bench import Bench, Case

BOUND: Final = 1e-6
_STEP: Final = 1e-5
_N_PROBES: Final = 24


def check() -> list[Finding]:
    """Return the largest relative error of the gradient along random directions, for each activation."""
    bench = Bench("iris")
    return [
        Finding(5, f"gradient through {activation}{', batch norm and dropout' if rich else ''}", worst, BOUND)
        for activation in get_args(Activation)
        for rich in (False, True)
        for worst in [_worst(bench, activation, rich=rich)]
    ]


def _worst(bench: Bench, activation: str, *, rich: bool) -> float:
    params: Params = {"units_1": 9, "units_2": 6, "units_3": 8, "batch_size": 16, "activation": activation}
    if rich:
        params |= {"batch_norm": True, "dropout": 0.3, "input_dropout": 0.2}
    # Of unlike depths, in one program; the first is linear.
    cases = [Case(params | {"layers": depth}, depth) for depth in range(4)]
    pack = bench.pack(bench.key(cases, 4, mode="graph"), cases)
    key, data = pack.key, pack.data.tensors
    weights, averages, facts = pack.device_weights, pack.device_averages, pack.facts()
    rows = tf.constant(np.random.default_rng(0).integers(0, pack.data.n_rows, (4, 16)), tf.int32)
    # Three rows count for nothing, as in the last batch of an epoch.
    row_weights = tf.constant([[1.0] * 13 + [0.0] * 3] * 4, key.dtype)

    @tf.function(autograph=False)  # type: ignore[untyped-decorator, unused-ignore]
    def loss_of(weights: Any) -> Any:
        layers = forward.layers_of(key, weights, averages)
        steps = tf.fill((4,), tf.constant(5, tf.uint32))
        raw, _ = forward.train(key, layers, facts, tf.gather(data[0], rows), row_weights, steps)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(data[1], rows), raw)
        return tf.reduce_sum(losses * row_weights)

    with tf.GradientTape() as tape:
        tape.watch(weights)
        loss = loss_of(weights)
    gradients = tape.gradient(loss, weights)
    random = np.random.default_rng(1)
    distances = []
    for probe in range(_N_PROBES):
        place = probe % len(weights)
        direction = tf.constant(random.normal(size=weights[place].shape))
        sides = [
            float(loss_of([weight + sign * direction if n == place else weight for n, weight in enumerate(weights)]))
            for sign in (_STEP, -_STEP)
        ]
        measured = (sides[0] - sides[1]) / (2 * _STEP)
        computed = float(tf.reduce_sum(gradients[place] * direction))
        distances.append(abs(measured - computed) / max(1.0, abs(computed)))
    return float(np.max(distances))  # which does not pass over a NaN
