"""Which programs a study gets: few, the same at every moment, and every trial of the space has one."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.space import Space
from hpsearch.domain.study import Split
from hpsearch.domain.training import EarlyStopping, Training
from hpsearch.wire.claims import StudyBrief
from workers.training.fused.graph.program_key import Features
from workers.training.fused.planning import space_points
from workers.training.fused.planning.cost import Load, Shape, best_slots, overhead_s, slot_epoch_s
from workers.training.fused.planning.device_profile import KINDS
from workers.training.fused.planning.program_set import DataShape, ProgramSet, choose, padded

if TYPE_CHECKING:
    from workers.training.fused.planning.device_profile import DeviceProfile

_GPU = KINDS["gpu"]
_DIGITS = DataShape(64, 10, 1_078, 359)
_FULL = """
layers: {type: int, low: 1, high: 4}
units: {type: int, low: 16, high: 512, log: true, per_layer: true}
activation: {type: categorical, choices: [relu, tanh, sigmoid]}
learning_rate: {type: float, low: 1.0e-4, high: 1.0e-1, log: true}
weight_decay: {type: float, low: 1.0e-7, high: 1.0e-2, log: true}
dropout: {type: float, low: 0.0, high: 0.6}
optimizer: {type: categorical, choices: [sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw]}
momentum: {type: float, low: 0.5, high: 0.99, when: {optimizer: [momentum, nesterov]}}
batch_size: {type: categorical, choices: [32, 64, 128]}
batch_norm: {type: categorical, choices: [true, false]}
"""


def _space(text: str) -> Space:
    return Space.model_validate(yaml.safe_load(text))


def _brief(
    text: str | None = _FULL, *, max_trials: int = 100, open_trials: int | None = None, **rest: Any
) -> StudyBrief:
    return StudyBrief(
        study_id="study",
        name="a study",
        dataset_id="data",
        dataset_digest="0",
        task="multiclass",
        split=Split(),
        metric="accuracy",
        direction="maximize",
        training=Training(max_epochs=100, early_stopping=EarlyStopping(patience=10)),
        data_order_seed=0,
        space=None if text is None else _space(text),
        max_trials=max_trials,
        open_trials=open_trials or 256,
        **rest,
    )


def _slots(programs: ProgramSet) -> int:
    return sum(program.n_slots * program.n_packs for program in programs.programs)


@pytest.mark.parametrize(
    ("units", "width"),
    [(1, 64), (64, 64), (65, 128), (200, 256), (257, 384), (385, 512), (513, 768), (769, 1024), (65_536, 65_536)],
)
def test_networks_are_padded_to_few_widths(units: int, width: int) -> None:
    assert padded(units) == width


@pytest.mark.parametrize(("max_trials", "open_trials"), [(24, 256), (100, 12), (256, 32), (512, 256), (20_000, 256)])
def test_a_study_gets_few_programs_and_every_trial_of_its_space_one(max_trials: int, open_trials: int) -> None:
    programs = choose(_GPU, _brief(max_trials=max_trials, open_trials=open_trials), _DIGITS)
    assert 1 <= len(programs.programs) <= 6
    shapes = itertools.product(range(1, 5), (16, 64, 65, 300, 512), (32, 64, 128))
    for depth, units, batch_size in shapes:
        for optimizer, activation, batch_norm in (("sgd", "relu", False), ("adamw", "sigmoid", True)):
            config = MlpConfig.from_params(
                {
                    "layers": depth,
                    "units": units,
                    "batch_size": batch_size,
                    "optimizer": optimizer,
                    "activation": activation,
                    "batch_norm": batch_norm,
                    "dropout": 0.5,
                    "weight_decay": 0.1,
                }
            )
            planned = programs.of(config)
            assert planned is not None
            assert planned.depth >= depth >= planned.least_depth
            assert planned.width >= units
            assert planned.batch_size >= batch_size
            assert planned.features.covers(Features.of(config))


def test_a_small_study_pays_for_one_program_and_few_slots() -> None:
    programs = choose(_GPU, _brief(max_trials=24), _DIGITS)
    assert len(programs.programs) == 1
    assert _slots(programs) <= 24
    # A search that keeps few trials open can not fill more.
    (one,) = choose(_GPU, _brief(max_trials=256, open_trials=12), _DIGITS).programs
    assert one.n_slots == 12


def test_more_trials_pay_for_more_programs() -> None:
    large = DataShape(50, 5, 200_000, 50_000)
    few = choose(_GPU, _brief(max_trials=4, open_trials=4), _DIGITS)
    many = choose(_GPU, _brief(max_trials=5_000), large)
    assert len(few.programs) < len(many.programs)
    # Where arithmetic is what takes the time, batches are not padded.
    assert {program.batch_size for program in many.programs} == {32, 64, 128}


def test_the_choice_is_the_same_in_another_process_and_on_a_busy_machine(device: DeviceProfile) -> None:
    other = replace(device, name="another card", n_parallel_packs=1, memory_bytes=2**40)
    here = choose(device, _brief(), _DIGITS).programs
    assert choose(other, _brief(), _DIGITS).programs == here
    script = f"import {__name__} as t; print(t.choose(t._GPU, t._brief(), t._DIGITS).programs)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(here)


def test_folds_and_batches_larger_than_the_data_are_no_trouble() -> None:
    small = DataShape(4, 3, 50, 25, n_folds=3)
    programs = choose(_GPU, _brief(), small)
    assert {program.batch_size for program in programs.programs} <= {32, 50}
    config = MlpConfig.from_params({"layers": 2, "units": 20, "batch_size": 128})
    planned = programs.of(config)
    assert planned is not None
    assert planned.batch_size == 50


def test_linear_networks_share_a_program_that_holds_their_output() -> None:
    text = "{layers: {type: int, low: 0, high: 2}, units: {type: int, low: 2, high: 8}, batch_size: 32}"
    programs = choose(_GPU, _brief(text, max_trials=10), DataShape(30, 100, 500, 100))
    linear = programs.of(MlpConfig.from_params({"layers": 0, "batch_size": 32}))
    assert linear is not None
    assert linear.depth == 0 or linear.width >= 100
    assert programs.of(MlpConfig.from_params({"layers": 2, "units": 8, "batch_size": 32})) is not None
    (only,) = choose(_GPU, _brief("{layers: 0, learning_rate: 0.1}"), _DIGITS).programs
    assert (only.depth, only.width, only.features.activations) == (0, 0, ())


def test_a_limit_of_weights_spares_programs_that_no_trial_needs() -> None:
    text = "{layers: {type: int, low: 1, high: 8}, units: {type: int, low: 16, high: 4096, log: true, per_layer: true}}"
    wide = choose(_GPU, _brief(text, max_trials=50), _DIGITS).programs
    limited = choose(_GPU, _brief(text, max_trials=50, max_weights=100_000), _DIGITS).programs
    # The largest program is there for whoever needs it; the others are smaller.
    assert max(program.width for program in wide) == max(program.width for program in limited) == 4_096
    assert min(program.width for program in limited) < 4_096
    config = MlpConfig.from_params({"layers": 2, "units": 64})
    planned = replace(choose(_GPU, _brief(text, max_trials=50, max_weights=100_000), _DIGITS)).of(config)
    assert planned is not None
    assert planned.width < 4_096


def test_who_is_outside_of_the_space_gets_a_program_or_plain_keras() -> None:
    programs = choose(_GPU, _brief(), _DIGITS)
    outside = [
        MlpConfig.from_params({"layers": 5, "units": 64, "batch_size": 32}),
        MlpConfig.from_params({"layers": 1, "units": 600, "batch_size": 32}),
        MlpConfig.from_params({"layers": 1, "units": 64, "batch_size": 256}),
        MlpConfig.from_params({"layers": 1, "units": 64, "batch_size": 32, "activation": "gelu"}),
    ]
    assert [programs.of(config) for config in outside] == [None] * 4
    # Compiling takes longer than a few epochs of plain Keras, but not than many.
    assert programs.stray(outside[0], 2) is None
    planned = programs.stray(outside[0], 1_000)
    assert planned is not None
    assert (planned.depth, planned.width, planned.least_depth) == (5, 64, 5)


def test_without_a_space_each_kind_of_network_gets_its_own_program() -> None:
    programs = choose(_GPU, _brief(None), _DIGITS)
    assert programs.programs == ()
    config = MlpConfig.from_params({"layers": 2, "units": 70, "batch_size": 64})
    planned = programs.stray(config, 1)
    assert planned is not None
    assert (planned.depth, planned.width, planned.batch_size) == (2, 128, 64)
    assert planned.n_slots > 1


def test_points_are_drawn_from_the_whole_space() -> None:
    configs = space_points.drawn(_space(_FULL), n_inputs=64, n_outputs=10, max_weights=None)
    assert len(configs) == 512
    assert configs == space_points.drawn(_space(_FULL), n_inputs=64, n_outputs=10, max_weights=None)
    assert {len(config.units) for config in configs} == {1, 2, 3, 4}
    assert {config.batch_size for config in configs} == {32, 64, 128}
    widths = [width for config in configs for width in config.units]
    assert min(widths) < 20
    assert max(widths) > 480
    # Logarithmic: half below the geometric mean.
    assert 0.45 < sum(width < 90 for width in widths) / len(widths) < 0.55
    rates = [config.learning_rate for config in configs]
    assert 1e-4 <= min(rates) < 2e-4
    assert 5e-2 < max(rates) <= 1e-1


@pytest.mark.parametrize(
    ("text", "depths", "widest", "batches"),
    [
        ("{layers: {type: int, low: 0, high: 3}, units: {type: int, low: 1, high: 9}}", (0, 1, 2, 3), 64, (64,)),
        ("{units_1: 30, units_2: {type: int, low: 1, high: 9}}", (2,), 64, (64,)),
        ("{layers: 3, units_1: 300}", (3,), 300, (64,)),
        (
            "{optimizer: {values: [sgd, adam]}, units_1: {type: fixed, value: 80, when: {optimizer: [sgd]}}}",
            (1, 2),
            80,
            (64,),
        ),
        ("{learning_rate: 0.1}", (2,), 64, (64,)),
        ("{layers: 0}", (0,), 0, (64,)),
        ("{layers: 1, units: 8, batch_size: {type: int, low: 16, high: 20}}", (1,), 64, (16, 17, 18, 19, 20)),
        (
            "{layers: 1, units: 8, batch_size: {type: int, low: 1, high: 20000}}",
            (1,),
            64,
            (1, 2, 4, 8, 16, 32, 64, 100),
        ),
    ],
)
def test_the_ends_of_a_space_are_known(
    text: str, depths: tuple[int, ...], widest: int, batches: tuple[int, ...]
) -> None:
    space = _space(text)
    assert space_points.depths(space) == depths
    assert space_points.widest(space) == widest
    assert space_points.batch_sizes(space, 100) == batches


def test_a_program_has_what_some_trial_of_the_space_needs() -> None:
    assert space_points.features_of(_space("{optimizer: sgd, layers: 1, units: 8}")) == Features.of(
        MlpConfig(optimizer="sgd", units=(8,))
    )
    whole = space_points.features_of(_space(_FULL))
    assert whole.activations == ("relu", "sigmoid", "tanh")
    assert (whole.batch_norm, whole.dropout, whole.input_dropout) == (True, True, False)
    assert (whole.l2, whole.first, whole.second) == (True, True, True)
    # Missing where a condition is not met: then the default counts.
    text = (
        "{layers: {type: int, low: 1, high: 2}, units: 8, activation: {type: fixed, value: tanh, when: {layers: [2]}}}"
    )
    assert space_points.features_of(_space(text)).activations == ("relu", "tanh")
    assert space_points.features_of(_space("{optimizer: adamw, weight_decay: 0.1}")).l2 is False


def test_a_program_covers_what_two_networks_need() -> None:
    plain = Features.of(MlpConfig(units=(4,), optimizer="sgd"))
    rich = Features.of(MlpConfig(units=(4,), activation="tanh", dropout=0.1, optimizer="adam", weight_decay=0.1))
    both = plain | rich
    assert both.activations == ("relu", "tanh")
    assert both.covers(plain)
    assert both.covers(rich)
    assert not plain.covers(rich)
    assert not rich.covers(plain)
    assert Features.of(MlpConfig(units=(), batch_norm=True, dropout=0.5)).batch_norm is False


def _shape(width: int = 64, n_rows: int = 1_000, depth: int = 2) -> Shape:
    return Shape((64, *[width] * depth, 10), n_rows, 300, 64, 64)


def test_an_epoch_costs_what_it_does_more_of() -> None:
    assert slot_epoch_s(_GPU, _shape(256)) > slot_epoch_s(_GPU, _shape(64))
    assert slot_epoch_s(_GPU, _shape(n_rows=2_000)) > slot_epoch_s(_GPU, _shape())
    assert overhead_s(_GPU, _shape(depth=4)) > overhead_s(_GPU, _shape())
    # Twice the slots of small networks cost little more: the gain of packing.
    assert overhead_s(_GPU, _shape()) > 8 * slot_epoch_s(_GPU, _shape())


def test_slots_follow_trials_and_memory() -> None:
    def slots(shape: Shape, n_members: float, n_open: float) -> int:
        return best_slots(_GPU, shape, Load(n_members, n_open, n_open, 50, 100))[0]

    assert slots(_shape(), 1, 1) == 1
    assert slots(_shape(), 24, 24) == 24
    assert slots(_shape(), 500, 12) == 12
    assert slots(_shape(), 5_000, 5_000) == 128
    huge = _shape(8_192, depth=4)
    assert huge.slot_bytes > 4 * 2**30
    assert slots(huge, 500, 500) == 1
    large = _shape(2_048, depth=3)
    assert 1 < slots(large, 500, 500) * large.slot_bytes <= 4 * 2**30
