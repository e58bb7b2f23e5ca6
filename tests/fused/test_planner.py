"""Which members share a pack and how large it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from hpsearch.domain.mlp import MlpConfig
from workers.training.fused.cost import Shape, best_slots, epoch_s, gpu_slots, least_slots
from workers.training.fused.padding import padded
from workers.training.fused.planner import Bucket, Planner
from workers.training.fused.traits import Traits
from workers.training.fused.verify.bench import Bench, Case

if TYPE_CHECKING:
    from workers.training.fused.trial_run import TrialRun


def _found(*sizes: int) -> Callable[[int], float]:
    """Return what programs cost where those of some sizes are at hand."""
    return lambda n_slots: 0.0 if n_slots in sizes else 1.0


_FRESH = _found()


def _shape(width: int = 64, n_rows: int = 1_000, depth: int = 2) -> Shape:
    return Shape(widths=(64, *[width] * depth, 10), n_rows=n_rows, n_held_out=300, batch_size=64)


@pytest.mark.parametrize(
    ("units", "even", "uneven"),
    [
        ((), (), ()),
        ((1,), (64,), (64,)),
        ((64, 3), (64, 64), (64, 64)),
        ((10, 65), (128, 128), (128, 128)),
        ((200,), (256,), (256,)),
        ((200, 64, 65), (256, 256, 256), (256, 64, 256)),
        ((3, 257), (384, 384), (128, 384)),
        ((129, 384), (384, 384), (384, 384)),
        ((128, 385), (512, 512), (128, 512)),
        ((513, 256, 700), (768, 768, 768), (768, 256, 768)),
        ((65_536, 1), (65_536, 65_536), (65_536, 16_384)),
    ],
)
def test_networks_are_padded_to_few_widths(
    units: tuple[int, ...], even: tuple[int, ...], uneven: tuple[int, ...]
) -> None:
    assert padded(units, 1_000, "cpu") == uneven
    assert padded(units, 999, "cpu") == padded(units, 1_000, "gpu") == even


def test_a_program_has_what_some_member_needs() -> None:
    plain = Traits.of(MlpConfig(units=(4,), optimizer="sgd"))
    rich = Traits.of(MlpConfig(units=(4,), activation="tanh", dropout=0.1, optimizer="adam", weight_decay=0.1))
    both = plain | rich
    assert both.activations == ("relu", "tanh")
    assert both.covers(plain)
    assert both.covers(rich)
    assert not plain.covers(rich)
    assert not rich.covers(plain)
    assert Traits.of(MlpConfig(units=(4,), optimizer="adamw", weight_decay=0.1)).l2 is False
    assert Traits.of(MlpConfig(units=(), batch_norm=True, dropout=0.5)).batch_norm is False


def test_an_epoch_costs_what_it_does_more_of(machine: Any) -> None:
    assert epoch_s(machine, _shape(), 8) > epoch_s(machine, _shape(), 4)
    assert epoch_s(machine, _shape(256), 8) > epoch_s(machine, _shape(64), 8)
    assert epoch_s(machine, _shape(n_rows=2_000), 8) > epoch_s(machine, _shape(), 8)
    # Eight small networks cost little more than four: the gain of packing.
    assert epoch_s(machine, _shape(), 8) < 2 * epoch_s(machine, _shape(), 4)


def test_few_members_get_a_small_pack(machine: Any) -> None:
    assert best_slots(machine, _shape(), n_members=1, n_epochs=20, price_s=_FRESH) == least_slots(_shape()) == 4
    assert best_slots(machine, _shape(), n_members=5, n_epochs=20, price_s=_FRESH) <= 8


def test_small_networks_get_larger_packs_than_wide_ones(machine: Any) -> None:
    small, wide = (
        best_slots(machine, _shape(width), n_members=500, n_epochs=20, price_s=_FRESH) for width in (64, 1_024)
    )
    assert small > wide


def test_a_device_with_much_overhead_gets_large_packs(machine: Any) -> None:
    gpu = replace(machine, kind="gpu", rate=2e13, step_s=3e-4, cache_bytes=0, memory_bytes=2**36)
    assert best_slots(gpu, _shape(), n_members=500, n_epochs=20, price_s=_FRESH) == 512


def test_memory_limits_a_pack(machine: Any) -> None:
    tight = replace(machine, memory_bytes=16 * _shape(256).slot_bytes, step_s=1.0)
    assert best_slots(tight, _shape(256), n_members=500, n_epochs=20, price_s=_FRESH) == 8


def test_a_size_that_is_compiled_already_is_preferred(machine: Any) -> None:
    fresh = best_slots(machine, _shape(), n_members=40, n_epochs=1, price_s=_FRESH)
    for size in (8, 16, 32):
        assert best_slots(machine, _shape(), n_members=40, n_epochs=1, price_s=_found(size)) == size
    # But not at any price.
    assert best_slots(machine, _shape(), n_members=40, n_epochs=1_000, price_s=_found(4)) == (
        best_slots(machine, _shape(), n_members=40, n_epochs=1_000, price_s=_FRESH)
    )
    assert fresh in (4, 8, 16, 32, 64)


def test_a_program_that_is_ready_is_taken_although_it_is_larger_than_need_be(machine: Any) -> None:
    assert best_slots(machine, _shape(), n_members=3, n_epochs=20, price_s=_found(8)) == 8
    assert best_slots(machine, _shape(), n_members=3, n_epochs=20, price_s=_found(4, 8)) == 4
    # What comes behind a gap is too large to be looked for.
    assert best_slots(machine, _shape(), n_members=3, n_epochs=20, price_s=_found(512)) == 4


def test_a_very_large_network_may_be_alone() -> None:
    assert least_slots(_shape(2_048)) == 1


def test_the_mode_is_measured_when_an_epoch_is_suspiciously_slow(machine: Any) -> None:
    from workers.training.fused.planner import Planner
    from workers.training.fused.verify.bench import Bench, Case

    said: list[str] = []
    planner = Planner(machine, "float32", "graph", said.append)
    bench = Bench("iris", "float32")
    pack = bench.pack([Case({"layers": 1, "units": 5, "batch_size": 4})], 4, mode="graph")
    pack.conclude(pack.run())
    before = pack.tensors()
    shape = Shape(widths=(4, 64, 3), n_rows=90, n_held_out=30, batch_size=4)
    planner.check_mode(pack, shape, epoch_s(machine, shape, 4))
    assert not said
    planner.check_mode(pack, shape, 1_000.0)
    assert len(said) == 1
    assert "xla" in said[0]
    after = pack.tensors()
    assert all((one == other).all() for one, other in zip(before["weights"], after["weights"], strict=True))
    planner.check_mode(pack, shape, 1_000.0)
    assert len(said) == 1


@pytest.mark.parametrize(("seconds", "mode"), [((3.0, 0.5), "graph"), ((3.0, 1.0), "xla"), ((0.5, 3.0), "xla")])
def test_only_a_much_faster_mode_is_changed_to(machine: Any, seconds: tuple[float, float], mode: str) -> None:
    from workers.training.fused.planner import Planner
    from workers.training.fused.verify.bench import Bench, Case

    planner = Planner(machine, "float32", "xla", lambda _: None)
    pack = Bench("iris", "float32").pack([Case({"layers": 1, "units": 5, "batch_size": 4})], 4, mode="graph")
    measured = dict(zip(("graph", "xla"), seconds[::-1], strict=True))
    pack.timed = lambda program: measured["xla" if program is pack.program else program.key.mode]
    planner.check_mode(pack, Shape(widths=(4, 64, 3), n_rows=90, n_held_out=30, batch_size=4), 1_000.0)
    assert planner.mode == mode


@pytest.mark.parametrize(("width", "depth", "n_slots"), [(64, 1, 64), (384, 2, 64), (1_024, 2, 32), (2_048, 3, 1)])
def test_on_a_gpu_a_shape_alone_decides_the_size_of_its_packs(width: int, depth: int, n_slots: int) -> None:
    shape = _shape(width, depth=depth)
    assert gpu_slots(shape) == n_slots
    assert n_slots == 1 or n_slots * shape.slot_bytes <= 2 * 2**30


def test_on_a_gpu_every_pack_of_a_queue_has_one_size_and_keeps_it(machine: Any) -> None:
    bench = Bench("iris", "float32")
    planner = Planner(replace(machine, kind="gpu"), "float32", "xla", lambda _: None)
    bucket = Bucket(bench.rows, bench.metric, 0, hidden=(64,), batch_size=16)
    member = bench.member(Case({"layers": 1, "units": 5, "batch_size": 16}))
    queue = planner.queue(bucket, bench.data, member)
    run = cast("TrialRun", SimpleNamespace(task=SimpleNamespace(study=SimpleNamespace(task=bench.task))))
    sizes = []
    for _ in range(200):
        queue.waiting.append((run, member))
        sizes.append(planner.slots(bucket, queue))
    assert set(sizes) == {64}
    assert planner.smaller(planner.program(bucket, queue), queue.shape, n_members=1, n_epochs_left=1e6) is None
