"""FusedEngine: trains many trials at once, each as if it were alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import tensorflow as tf

from workers.devices import cpu_cores
from workers.training.engine.contract import Sink
from workers.training.engine.numerics import DType
from workers.training.engine.rows import RowsCache
from workers.training.engine.task import TrialTask
from workers.training.fused.fold_data import FoldStore
from workers.training.fused.kept_programs import keep_programs
from workers.training.fused.machine import Machine, this_machine
from workers.training.fused.planner import Planner
from workers.training.fused.session import Session
from workers.training.fused.traits import Mode
from workers.training.fused.xla_flags import compile_exactly
from workers.training.reference import runtime
from workers.training.reference.engine import ReferenceEngine

_LOG = logging.getLogger("hpsearch.fused")


@runtime_checkable
class RefillingSink(Sink, Protocol):
    """A sink that has further trials for slots that fall free; any sink without `more` is trained to its end."""

    def more(self, n: int) -> Sequence[TrialTask]:
        """Return further trials, at once and without waiting; none when there are none.

        Args:
            n: How many the engine can hold, at least 1.
        """
        ...


class FusedEngine:
    """Trains packs of trials, each pack one TensorFlow program; what it can not do, plain Keras does.

    A trial's curve is a function of its parameters, its seed, the study's data and data-order seed alone. Reports of
    one trial come in order; those of different trials interleave. The sink is called from two threads, never at once.

    Args:
        dtype: Of weights and computation; `float64` is for tests of exactness.
        mode: `xla` compiles each program, `graph` runs it operation by operation; None chooses for the device.
        n_slots: Members of every pack; None lets the cost model choose.
        machine: The device; None measures it.
        explain: Takes a sentence for the log; None sends it to the logger `hpsearch.fused`.
        programs: Folder in which compiled programs outlive the process; None keeps none. Needs an engine made before
            TensorFlow has computed anything in the process.
    """

    def __init__(
        self,
        dtype: DType = "float32",
        *,
        mode: Mode | None = None,
        n_slots: int | None = None,
        machine: Machine | None = None,
        explain: Callable[[str], None] | None = None,
        programs: Path | None = None,
    ) -> None:
        self.explain = explain or _LOG.info
        self.dtype: DType = dtype
        compile_exactly()
        kept = None if programs is None else self._keep(programs)
        _share_cores(machine.n_lanes if machine else cpu_cores(), self.explain)
        self.reference = ReferenceEngine(dtype)
        self.machine = machine or this_machine()
        self.rows = RowsCache(dtype, size=8)
        self.folds = FoldStore()
        # XLA in all cases so far measured: compiled in a second on a CPU, each step two to three times as fast.
        self.planner = Planner(self.machine, dtype, mode or "xla", self.explain, n_slots, kept)
        self.explain(
            f"fused training on {self.machine.name}, {self.machine.rate * self.machine.n_lanes / 1e9:.0f} GFLOP/s in "
            f"float32 matrix products, {self.machine.n_lanes} packs at a time, programs {mode or 'xla'}"
        )

    def _keep(self, root: Path) -> Path | None:
        try:
            folder = keep_programs(root)
        except OSError as error:
            self.explain(f"compiled programs are not kept for the next start: {error}")
            return None
        if folder is None:
            self.explain("compiled programs are not kept for the next start: TensorFlow was in use before")
        return folder

    @property
    def appetite(self) -> int:
        """How many trials it can usefully hold at once: what a claim should ask for."""
        return self.planner.appetite

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        """Train every task; each ends in exactly one `sink.finished`, unless `sink.should_stop` answered yes.

        Args:
            tasks: Trials of any studies; at least one.
            sink: Receives epochs and ends. If it has a method `more`, see `RefillingSink`, free slots are refilled
                from it, and training ends when it has nothing more and all trials are done.
        """
        Session(self, sink).run(tasks)


def _share_cores(n_lanes: int, explain: Callable[[str], None]) -> None:
    """On a CPU give TensorFlow a thread for each pack that runs at the same time."""
    if tf.config.list_physical_devices("GPU"):
        return
    try:
        runtime.configure_for_packs(n_lanes)
    except RuntimeError:
        explain("TensorFlow was in use before the fused engine: it keeps its threads, packs may run slower")
