"""FusedEngine: mixed networks trained side by side, stacked into one TensorFlow program, each as if it were alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

from workers.training.engine.contract import Sink
from workers.training.engine.numerics import DType
from workers.training.engine.rows import RowsCache
from workers.training.engine.task import TrialTask
from workers.training.fused.fold_data import FoldStore
from workers.training.fused.graph.compile_cache import TENSORFLOW, enable_compile_cache
from workers.training.fused.graph.program_key import Mode
from workers.training.fused.graph.xla_flags import compile_exactly
from workers.training.fused.planning.device_profile import DeviceProfile, this_device
from workers.training.fused.planning.planner import Planner
from workers.training.fused.session import EngineParts, Session
from workers.training.fused.slot_usage import SlotUsage
from workers.training.reference.engine import ReferenceEngine

_LOG = logging.getLogger("hpsearch.fused")


class FusedEngine:
    """Trains packs of trials, each pack one TensorFlow program; what it can not do, plain Keras does.

    A trial's curve is a function of its parameters, its seed, the study's data and data-order seed alone. Reports of
    one trial come in order; those of different trials interleave. The sink is called from two threads, never at once.

    Args:
        dtype: Of weights and computation; `float64` is for tests of exactness.
        mode: `xla` compiles each program; `graph`, for tests, runs it operation by operation.
        n_slots: Of every pack; None leaves it to the choice of programs.
        device: The device; None finds it.
        explain: Takes a sentence for the log; None sends it to the logger `hpsearch.fused`.
        compiling: Takes how many programs are being compiled, whenever that changes; None tells nobody.
        programs: Folder in which compiled programs outlive the process; None keeps none. Needs an engine made before
            TensorFlow has computed anything in the process.

    Attributes:
        slot_usage: How full the slots were.
    """

    def __init__(
        self,
        dtype: DType = "float32",
        *,
        mode: Mode = "xla",
        n_slots: int | None = None,
        device: DeviceProfile | None = None,
        explain: Callable[[str], None] | None = None,
        compiling: Callable[[int], None] | None = None,
        programs: Path | None = None,
    ) -> None:
        self._explain = explain or _LOG.info
        self._tell_compiling = compiling or (lambda _n: None)
        self._n_compiling = 0
        self.dtype: DType = dtype
        compile_exactly()
        kept = None if programs is None else self._keep(programs)
        self._reference = ReferenceEngine(dtype)
        self.device = device or this_device()
        self.rows = RowsCache(dtype, size=8)
        self._folds = FoldStore()
        self.planner = Planner(self.device, dtype, mode, self._explain, n_slots, kept)
        self.slot_usage = SlotUsage(self._explain)
        self._explain(f"fused training on {self.device.name}, {self.device.n_parallel_packs} packs at a time")

    def _keep(self, root: Path) -> Path | None:
        try:
            folder = enable_compile_cache(root)
        except OSError as error:
            self._explain(f"compiled programs are not kept for the next start: {error}")
            return None
        if folder is None:
            self._explain(
                "compiled programs are not kept for the next start: that needs a TensorFlow "
                f"{TENSORFLOW} that can write them down and was not in use before, this is {tf.__version__}"
            )
        return folder

    def _compiling(self, n_programs: int) -> None:
        """Pass on how many programs are being compiled, when that has changed."""
        if n_programs != self._n_compiling:
            self._n_compiling = n_programs
            self._tell_compiling(n_programs)

    @property
    def n_slots(self) -> int:
        """How many trials it trains at the same time: the slots of the studies in training, or what it begins with."""
        return self.planner.n_slots

    @property
    def capacity(self) -> int:
        """How many trials it can usefully hold now: a quarter more than slots, so that these are refilled at once."""
        return self.planner.capacity

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        """Train every task; each ends in exactly one `sink.finished`, unless `sink.should_stop` answered yes.

        Args:
            tasks: Trials of any studies; at least one.
            sink: Receives epochs and ends. From a `RefillingSink` free slots are refilled, and training ends when it
                has nothing more and all trials are done.
        """
        parts = EngineParts(
            dtype=self.dtype,
            device=self.device,
            planner=self.planner,
            rows=self.rows,
            folds=self._folds,
            reference=self._reference,
            slot_usage=self.slot_usage,
            explain=self._explain,
            compiling=self._compiling,
        )
        Session(parts, sink).run(tasks)
