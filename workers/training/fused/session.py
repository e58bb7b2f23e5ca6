"""Session: one call of `FusedEngine.train`, which gives slots to trials as they come and runs packs side by side."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

from hpsearch.domain.lifecycle import TrialKind
from workers.training.engine.contract import Engine, Sink
from workers.training.engine.failures import outcome_of
from workers.training.engine.member import Member, describe
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.rows import RowsCache
from workers.training.engine.sink_adapters import LockedSink
from workers.training.engine.task import TrialTask
from workers.training.fused.fold_data import FoldData, FoldStore
from workers.training.fused.keras_thread import KerasThread
from workers.training.fused.pack import EpochResult, Pack
from workers.training.fused.planning.device_profile import DeviceProfile
from workers.training.fused.planning.planner import PackGroup, Planner
from workers.training.fused.slot_usage import SlotUsage
from workers.training.fused.trial_run import TrialRun

_LOOK_S: Final = 0.2

# A trial that has ended, and what gives its best weights.
Ended = tuple[TrialRun, Callable[[], Arrays]]


@dataclass(frozen=True)
class EngineParts:
    """What all calls of an engine share.

    Attributes:
        dtype: Of weights and computation.
        device: That trains.
        planner: Chooses and keeps programs.
        rows: Of the studies.
        folds: Of the studies, on the device.
        reference: Trains what packs can not.
        slot_usage: Adds up how full the slots are.
        explain: Takes a sentence for the log.
        compiling: Takes how many programs are being compiled.
    """

    dtype: DType
    device: DeviceProfile
    planner: Planner
    rows: RowsCache
    folds: FoldStore
    reference: Engine
    slot_usage: SlotUsage
    explain: Callable[[str], None]
    compiling: Callable[[int], None]


class Session:
    """Drives the packs of one call.

    This thread alone judges epochs and talks to the sink about packs; a pool runs the epochs; one more thread does
    everything that needs plain Keras: trials the engine does not train, and model files.

    Args:
        parts: Of the engine.
        sink: Receives epochs and ends.
    """

    def __init__(self, parts: EngineParts, sink: Sink) -> None:
        self._parts = parts
        self._planner = parts.planner
        self._sink = LockedSink(sink)
        self._waiting: dict[PackGroup, deque[tuple[TrialRun, Member]]] = {}
        self._data: dict[PackGroup, FoldData] = {}
        self._packs: dict[Pack, PackGroup] = {}
        self._runs: dict[Member, TrialRun] = {}
        self._running: dict[Future[EpochResult], Pack] = {}
        self._keras = KerasThread(parts.reference, self._sink)
        self._clock_s = time.perf_counter()

    def run(self, tasks: Sequence[TrialTask]) -> None:
        """Train the tasks, and what the sink adds to them, to the end."""
        self._parts.slot_usage.start()
        with (
            ThreadPoolExecutor(self._parts.device.n_parallel_packs, thread_name_prefix="pack") as pool,
            self._keras,
        ):
            self._take(tasks)
            while True:
                self._request_trials()
                self._refill()
                self._close()
                self._open()
                for pack in self._packs:
                    if pack not in self._running.values():
                        self._running[pool.submit(pack.run)] = pack
                self._parts.compiling(sum(not pack.program.has_run for pack in self._running.values()))
                if not self._running and not self._keras.futures:
                    break
                self._wait()
        self._parts.slot_usage.pause()

    # Taking trials in.

    def _request_trials(self) -> None:
        """Ask the sink for as many trials as there is room for."""
        held = {run for queue in self._waiting.values() for run, _ in queue} | set(self._runs.values())
        self._planner.note_studies({run.task.study.study_id for run in held})
        # Trials whose model is being written hold no slot.
        room = self._planner.capacity - len(held) - self._keras.n_training
        if self._sink.has_more and room > 0:
            self._take(self._sink.more(room))

    def _take(self, tasks: Sequence[TrialTask]) -> None:
        self._sink.take(len(tasks))
        for task in tasks:
            try:
                reason = _reason_for_reference(task) or self._enqueue(task)
            except Exception as error:  # noqa: BLE001 - whatever a trial raises is its outcome, the next one goes on
                self._sink.finished(task, outcome_of(error), None)
                continue
            if reason is not None:
                self._parts.explain(f"trial {task.trial.number} is trained by plain Keras: {reason}")
                self._keras.train(task)

    def _enqueue(self, task: TrialTask) -> str | None:
        """Have the folds of a trial wait for slots; return why not, if plain Keras is to train it."""
        study = self._parts.rows.of(task)
        run = TrialRun(task, study, self._parts.dtype)
        places: list[tuple[PackGroup, Member]] = []
        for member in run.members:
            data = self._parts.folds.of(task, study, member.fold)
            group = self._planner.group(task, study, member, data)
            if group is None:
                return "its network is none of the study's space, and a program for it alone would take longer"
            self._data[group] = data
            places.append((group, member))
        for group, member in places:
            self._waiting.setdefault(group, deque()).append((run, member))
        return None

    # Packs.

    def _refill(self) -> None:
        for pack, group in self._packs.items():
            if pack.n_free and pack not in self._running.values():
                self._admit(pack, group)

    def _admit(self, pack: Pack, group: PackGroup) -> None:
        queue = self._waiting.get(group, deque())
        fresh: list[Member] = []
        while queue and len(fresh) < pack.n_free:
            run, member = queue.popleft()
            if run.needs(member):
                self._runs[member] = run
                fresh.append(member)
        if fresh:
            pack.admit(fresh)

    def _close(self) -> None:
        """Let go of packs without members, and of groups where nobody waits or sits."""
        for pack in [pack for pack in self._packs if not pack.members]:
            del self._packs[pack]
        for group in [group for group, queue in self._waiting.items() if not queue]:
            del self._waiting[group]
        for group in [
            group for group in self._data if group not in self._waiting and group not in self._packs.values()
        ]:
            del self._data[group]

    def _open(self) -> None:
        """Open packs for those that find no free slot."""
        for group in sorted(self._waiting, key=lambda group: len(self._waiting[group]), reverse=True):
            # In turns: packs of one program that start together would wait for each other, while it is compiled.
            if self._may_open(group):
                pack = Pack(self._planner.program(group.key), self._data[group])
                self._admit(pack, group)
                if pack.members:
                    self._packs[pack] = group

    def _may_open(self, group: PackGroup) -> bool:
        open_here = [pack for pack, place in self._packs.items() if place == group]
        if len(open_here) >= group.n_packs or any(pack.n_free or pack.n_epochs == 0 for pack in open_here):
            return False
        held = sum(pack.key.n_slots * place.slot_bytes for pack, place in self._packs.items())
        wanted = group.key.n_slots * group.slot_bytes
        return not self._packs or held + wanted <= self._parts.device.memory_bytes

    def _wait(self) -> None:
        futures: list[Future[Any]] = [*self._running, *self._keras.futures]
        # While plain Keras alone is busy, trials may come.
        done, _ = wait(futures, None if self._running else _LOOK_S, return_when=FIRST_COMPLETED)
        self._share_time()
        for future in done:
            if future in self._running:
                self._on_epoch(self._running.pop(future), future)
            else:
                self._keras.done(future)

    def _share_time(self) -> None:
        """Share the time since the last call among the packs that ran, and each pack's among its members."""
        now_s = time.perf_counter()
        elapsed_s, self._clock_s = now_s - self._clock_s, now_s
        for pack in self._running.values():
            for member in pack.members.values():
                self._runs[member].device_s += elapsed_s / len(self._running) / len(pack.members)

    def _on_epoch(self, pack: Pack, future: Future[EpochResult]) -> None:
        try:
            epoch = future.result()
        except Exception as error:  # noqa: BLE001 - what a pack raises is no fault of its trials
            self._on_pack_failure(pack, error)
            return
        if epoch.is_first:
            # It has compiled, which is no time of slots.
            self._log_first_epoch(pack, epoch)
        else:
            self._parts.slot_usage.epoch(len(pack.members), pack.key.n_slots, epoch.took_s)
        pack.record(epoch)
        ended: list[Ended] = []
        for slot, member in sorted(pack.members.items()):
            run = self._runs[member]
            was_over = run.is_over
            if not was_over:
                run.advance(self._sink)
            if run.is_over and not was_over:
                ended.append((run, pack.best_weights(slot)))
        for slot, member in list(pack.members.items()):
            if member.is_over or not self._runs[member].needs(member):
                pack.release(slot)
                del self._runs[member]
        self._finish(ended)

    def _log_first_epoch(self, pack: Pack, epoch: EpochResult) -> None:
        facts = describe(list(pack.members.values()))
        self._parts.explain(
            f"a program is ready (up to {pack.key.depth} hidden layers of {pack.key.width} units, batches of up to "
            f"{pack.key.batch_size}, {pack.key.n_slots} slots): its first epoch took {epoch.took_s:.2f} s, with "
            f"{len(pack.members)} trials (widths {facts['widths']}, {facts['optimizers']})"
        )

    def _on_pack_failure(self, pack: Pack, error: Exception) -> None:
        """Start the members of a pack again, in smaller packs if memory was short, otherwise by plain Keras."""
        group = self._packs.pop(pack)
        is_memory = isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)
        smaller = self._planner.halve(group) if is_memory and pack.key.n_slots > 1 else None
        what = f"packs of {smaller.key.n_slots}" if smaller else "plain Keras"
        self._parts.explain(
            f"a pack of {pack.key.n_slots} failed ({type(error).__name__}: {str(error)[:200]}); its trials go to {what}"
        )
        if smaller:
            self._data[smaller] = pack.data
            self._waiting.setdefault(smaller, deque()).extend(self._waiting.pop(group, ()))
        for member in pack.members.values():
            run = self._runs.pop(member)
            if run.is_over:
                continue
            if smaller:
                member.restart()
                self._waiting[smaller].append((run, member))
            else:
                run.is_dropped = True
                self._keras.train(run.task, n_reported=run.n_reported)

    def _finish(self, ended: list[Ended]) -> None:
        """Report trials that have ended, the best first: what they leave behind may spare the others theirs."""
        for run, weights in sorted(ended, key=lambda pair: _rank(pair[0])):
            if run.outcome is None:
                self._sink.take(-1)
                continue
            outcome = run.outcome.model_copy(update={"device_seconds": run.device_s})
            value = outcome.value if outcome.state == "COMPLETE" else None
            path = run.task.model_path
            if path is None or value is None or not self._sink.keeps_model(run.task, value):
                self._sink.finished(run.task, outcome, None)
            else:
                self._sink.trained(run.task)
                self._keras.export(run, outcome, weights, path)


def _rank(run: TrialRun) -> float:
    outcome = run.outcome
    if outcome is None or outcome.value is None:
        return float("inf")
    return run.task.study.objective.sort_key(outcome.value)


def _reason_for_reference(task: TrialTask) -> str | None:
    if task.study.engine == "reference":
        return "the study asks for it"
    if task.trial.kind == TrialKind.REFIT:
        return "a final refit has no held-out rows to stop by, and comes alone"
    return None
