"""One call of `FusedEngine.train`: packs opened, run side by side, refilled and closed until no trial is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from hpsearch.domain.lifecycle import TrialKind
from workers.training.engine.contract import Sink
from workers.training.engine.failures import outcome_of
from workers.training.engine.member import Member, describe
from workers.training.engine.numerics import Arrays
from workers.training.engine.sinks import LockedSink
from workers.training.engine.task import TrialTask
from workers.training.fused.keras_lane import KerasLane
from workers.training.fused.pack import Epoch, Pack
from workers.training.fused.padding import spelled
from workers.training.fused.planner import Bucket, Queue
from workers.training.fused.traits import Traits
from workers.training.fused.trial_run import TrialRun

if TYPE_CHECKING:
    from workers.training.fused.engine import FusedEngine

# Packs beyond one a lane: while one is judged, the others compute.
_SPARE_PACKS = 2
_ASK_EVERY_S = 0.2
# The first epoch compiles, the second may still be warming up.
_CHECKED_EPOCH = 3


# A trial that has ended, and what gives its best weights.
Ended = tuple[TrialRun, Callable[[], Arrays]]


class Session:
    """Drives the packs of one call.

    This thread alone judges epochs and talks to the sink about packs; a pool runs the epochs; one more thread does
    everything that needs plain Keras: trials the engine can not train, and model files.

    Args:
        engine: Whose programs, rows and device are used.
        sink: Receives epochs and ends.
    """

    def __init__(self, engine: FusedEngine, sink: Sink) -> None:
        self._engine = engine
        self._planner = engine.planner
        self._sink = LockedSink(sink)
        self._queues: dict[Bucket, Queue] = {}
        self._packs: dict[Pack, Bucket] = {}
        self._runs: dict[Member, TrialRun] = {}
        self._running: dict[Future[Epoch], Pack] = {}
        self._keras = KerasLane(engine.reference, self._sink)
        self._asked_s = 0.0
        self._clock_s = time.perf_counter()

    def run(self, tasks: Sequence[TrialTask]) -> None:
        """Train the tasks, and what the sink adds to them, to the end."""
        machine = self._engine.machine
        with (
            ThreadPoolExecutor(machine.n_lanes, thread_name_prefix="pack") as pool,
            self._keras,
        ):
            self._take(tasks)
            self._planner.explain_queues(self._queues.items())
            while True:
                self._ask()
                self._refill()
                self._close()
                self._open()
                for pack in self._packs:
                    if pack not in self._running.values():
                        self._running[pool.submit(pack.run)] = pack
                if not self._running and not self._keras.futures:
                    return
                self._wait()

    # Taking trials in.

    def _ask(self) -> None:
        """Ask the sink for trials where it has any and there is room."""
        room = self._engine.appetite - self._sink.n_held
        now_s = time.perf_counter()
        is_idle = not self._running and not self._packs
        if not self._sink.has_more or room < 1 or (now_s - self._asked_s < _ASK_EVERY_S and not is_idle):
            return
        self._asked_s = now_s
        self._take(self._sink.more(room))

    def _take(self, tasks: Sequence[TrialTask]) -> None:
        self._sink.take(len(tasks))
        for task in tasks:
            reason = _reason_for_reference(task)
            if reason is not None:
                self._engine.explain(f"trial {task.trial.number} is trained by plain Keras: {reason}")
                self._keras.train(task)
                continue
            try:
                self._enqueue(task)
            except Exception as error:  # noqa: BLE001 - whatever a trial raises is its outcome, the next one goes on
                self._sink.finished(task, outcome_of(error), None)

    def _enqueue(self, task: TrialTask) -> None:
        study = self._engine.rows.of(task)
        run = TrialRun(task, study, self._engine.dtype)
        for member in run.members:
            data = self._engine.folds.of(task, study, member.fold)
            bucket = self._planner.bucket(run, member, data)
            if bucket not in self._queues:
                self._queues[bucket] = self._planner.queue(bucket, data, member)
            queue = self._queues[bucket]
            queue.traits |= Traits.of(member.config)
            queue.waiting.append((run, member))

    # Packs.

    def _refill(self) -> None:
        for pack, bucket in self._packs.items():
            if pack.n_free and pack not in self._running.values():
                self._admit(pack, self._queues[bucket])

    def _admit(self, pack: Pack, queue: Queue) -> None:
        fresh: list[Member] = []
        for _ in range(len(queue.waiting)):
            if len(fresh) == pack.n_free:
                break
            run, member = queue.waiting.popleft()
            if not run.needs(member):
                continue
            if not pack.key.traits.covers(Traits.of(member.config)):
                queue.waiting.append((run, member))
                continue
            self._runs[member] = run
            fresh.append(member)
        if fresh:
            pack.admit(fresh)

    def _close(self) -> None:
        """Let go of packs without members."""
        for pack in [pack for pack in self._packs if not pack.members]:
            del self._packs[pack]

    def _open(self) -> None:
        """Open packs for those that wait: one for each bucket at least, more while lanes would be idle."""
        waiting = [(bucket, queue) for bucket, queue in self._queues.items() if queue.waiting]
        waiting.sort(key=lambda pair: self._planner.work_s(*pair), reverse=True)
        # In turns: packs of one program that start together would wait for each other, while it is compiled.
        while waiting:
            waiting = [(bucket, queue) for bucket, queue in waiting if self._open_one(bucket, queue)]

    def _open_one(self, bucket: Bucket, queue: Queue) -> bool:
        """Open one more pack of a bucket if it may have one and somebody needs it; return whether that was so."""
        if not queue.waiting or not self._may_open(bucket, queue):
            return False
        pack = Pack(self._planner.program(bucket, queue), queue.data)
        self._admit(pack, queue)
        if pack.members:
            self._packs[pack] = bucket
        return bool(pack.members)

    def _may_open(self, bucket: Bucket, queue: Queue) -> bool:
        open_here = [pack for pack, place in self._packs.items() if place == bucket]
        if any(pack.n_free for pack in open_here if pack.key.traits == queue.traits):
            return False
        if open_here and len(self._packs) >= self._engine.machine.n_lanes + _SPARE_PACKS:
            return False
        held = sum(self._bytes(pack, place) for pack, place in self._packs.items())
        wanted = self._planner.slots(bucket, queue) * queue.shape.slot_bytes
        return not self._packs or held + wanted <= self._engine.machine.memory_bytes

    def _bytes(self, pack: Pack, bucket: Bucket) -> int:
        return pack.key.n_slots * self._queues[bucket].shape.slot_bytes

    def _wait(self) -> None:
        futures: list[Future[Any]] = [*self._running, *self._keras.futures]
        done, _ = wait(futures, return_when=FIRST_COMPLETED)
        self._share_time()
        for future in done:
            if future in self._running:
                self._conclude(self._running.pop(future), future)
            else:
                self._keras.done(future)

    def _share_time(self) -> None:
        """Share the time since the last call among the packs that ran, and each pack's among its members."""
        now_s = time.perf_counter()
        elapsed_s, self._clock_s = now_s - self._clock_s, now_s
        for pack in self._running.values():
            for member in pack.members.values():
                self._runs[member].device_s += elapsed_s / len(self._running) / len(pack.members)

    def _conclude(self, pack: Pack, future: Future[Epoch]) -> None:
        try:
            epoch = future.result()
        except Exception as error:  # noqa: BLE001 - what a pack raises is no fault of its trials
            self._broken(pack, error)
            return
        if pack.n_epochs == 1:
            self._explain_first(pack, epoch)
        elif pack.n_epochs == _CHECKED_EPOCH:
            self._planner.check_mode(pack, self._queues[self._packs[pack]].shape, epoch.took_s)
        pack.conclude(epoch)
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
        self._tidy(pack)

    def _tidy(self, pack: Pack) -> None:
        """Shrink a pack with few members once nobody waits for its slots."""
        bucket = self._packs[pack]
        queue = self._queues[bucket]
        if not pack.members or any(run.needs(member) for run, member in queue.waiting):
            return
        left = max(member.schedule.max_epochs - len(member.history) for member in pack.members.values()) / 2
        smaller = self._planner.smaller(pack.program, queue.shape, len(pack.members), left)
        if smaller is not None:
            del self._packs[pack]
            self._packs[pack.resized(smaller)] = bucket
            self._engine.explain(
                f"a pack of {pack.key.n_slots} with {len(pack.members)} trials left goes on with "
                f"{smaller.key.n_slots} slots"
            )

    def _explain_first(self, pack: Pack, epoch: Epoch) -> None:
        facts = describe(list(pack.members.values()))
        self._engine.explain(
            f"pack of {len(pack.members)} trials in {pack.key.n_slots} slots ({pack.key.depth} hidden layers, "
            f"widths {facts['widths']} padded to {spelled(pack.key.hidden)}, {facts['optimizers']}): "
            f"first epoch {epoch.took_s:.2f} s"
        )

    def _broken(self, pack: Pack, error: Exception) -> None:
        """Start the members of a pack again, in smaller packs if memory was short, otherwise by plain Keras."""
        bucket = self._packs.pop(pack)
        queue = self._queues[bucket]
        is_memory = isinstance(error, MemoryError | tf.errors.ResourceExhaustedError)
        retry = is_memory and pack.key.n_slots > 1
        if retry:
            queue.max_slots = pack.key.n_slots // 2
        what = f"packs of {queue.max_slots}" if retry else "plain Keras"
        self._engine.explain(
            f"a pack of {pack.key.n_slots} failed ({type(error).__name__}: {str(error)[:200]}); its trials go to {what}"
        )
        for member in pack.members.values():
            run = self._runs.pop(member)
            if run.is_over:
                continue
            if retry:
                member.restart()
                queue.waiting.append((run, member))
            else:
                run.is_dropped = True
                self._keras.train(run.task, n_told=run.n_told)

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
                self._keras.export(run, outcome, weights, path)


def _rank(run: TrialRun) -> float:
    outcome = run.outcome
    if outcome is None or outcome.value is None:
        return float("inf")
    return -outcome.value if run.task.study.direction == "maximize" else outcome.value


def _reason_for_reference(task: TrialTask) -> str | None:
    if task.study.engine == "reference":
        return "the study asks for it"
    if task.trial.kind == TrialKind.REFIT:
        return "a final refit has no held-out rows to stop by, and comes alone"
    return None
