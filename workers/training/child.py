"""The trainer process: imports TensorFlow once, then trains what the supervisor sends until the supervisor is gone.

Started by `workers.trainer` with two pipes. Standard output and error go to a log file; the pipes carry only frames.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Final

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.metrics import better
from hpsearch.domain.trial import MAX_DETAIL_CHARACTERS, Measurement, Outcome
from workers.messages import Broken, Epoch, Finished, Idle, Leave, Ready, Train
from workers.training.channel import Channel
from workers.training.engine import Engine
from workers.training.task import TrialTask

_PR_SET_PDEATHSIG: Final = 1
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class PipeSink:
    """The sink of one attempt: everything goes to the supervisor."""

    def __init__(self, channel: Channel, ticket: int) -> None:
        self._channel = channel
        self._ticket = ticket
        self.is_finished = False

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        """Pass one epoch on."""
        del task
        self._channel.say(Epoch(ticket=self._ticket, measurement=measurement))

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        """Pass the end on, once."""
        del task
        if not self.is_finished:
            self.is_finished = True
            self._channel.say(Finished(ticket=self._ticket, outcome=outcome, model=model))

    def should_stop(self, task: TrialTask) -> bool:
        """Return whether the supervisor has dropped the attempt."""
        del task
        return self._channel.is_dropped(self._ticket)

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Return whether the value beats what the study has; a final refit is always kept."""
        threshold = self._channel.threshold(self._ticket)
        if threshold is None or task.trial.kind == TrialKind.REFIT:
            return True
        return better(value, threshold, task.study.direction)


def train_one(engine: Engine, train: Train, channel: Channel) -> None:
    """Train one trial to its end; whatever the engine does, the supervisor gets exactly one end or a drop."""
    task = TrialTask(
        trial=train.trial, study=train.study, content=train.content, profile=train.profile, model_path=train.model_path
    )
    sink = PipeSink(channel, train.ticket)
    try:
        engine.train([task], sink)
    except Exception as error:  # noqa: BLE001 - a broken trial must not break the trainer
        sink.finished(task, outcome_of(error), None)
    if not sink.is_finished and not channel.is_dropped(train.ticket):
        lost = Outcome(state="FAILED", cause="training_error", detail="the engine ended without a result")
        sink.finished(task, lost, None)
    channel.forget(train.ticket)
    channel.say(Idle(ticket=train.ticket))


def outcome_of(error: Exception) -> Outcome:
    """Return the outcome that an exception in training stands for."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return Outcome(state="RELEASED", cause="disk_full", detail=str(error)[:MAX_DETAIL_CHARACTERS])
    text = "".join(traceback.format_exception(error))[-MAX_DETAIL_CHARACTERS:]
    detail = text.encode("utf-8", "replace").decode().replace("\x00", "")
    if isinstance(error, MemoryError):
        return Outcome(state="INFEASIBLE", cause="oom", detail=detail)
    return Outcome(state="FAILED", cause="training_error", detail=detail)


def build_engine(name: str) -> tuple[Engine, Ready]:
    """Return the engine of a name, imported, and what to say about it."""
    if name == "stub":
        from workers.testing.stub_engine import StubEngine

        return StubEngine.of_environment(), Ready(n_gpus=0, engine="stub (invented results)")
    import keras
    import tensorflow as tf

    from workers.training.reference import ReferenceEngine

    engine = ReferenceEngine()
    n_gpus = len(tf.config.list_physical_devices("GPU"))
    return engine, Ready(n_gpus=n_gpus, engine=f"reference, Keras {keras.__version__}, TensorFlow {tf.__version__}")


def main() -> None:
    """Serve the supervisor whose pipes are named by the arguments: parent's pid, two descriptors, engine."""
    # The supervisor alone decides what an interrupt means; it may need this process to the last moment.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent_pid, commands, events = (int(argument) for argument in sys.argv[1:4])
    _die_with(parent_pid)
    channel = Channel(os.fdopen(commands, "rb", buffering=0), os.fdopen(events, "wb", buffering=0))
    channel.listen()
    try:
        engine, ready = build_engine(sys.argv[4])
    except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor must hear of it
        traceback.print_exc()
        channel.say(Broken(message=_complaint(error)))
        raise SystemExit(1) from None
    channel.say(ready)
    while True:
        command = channel.next()
        if isinstance(command, Leave):
            return
        train_one(engine, command, channel)


def _complaint(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"training is not installed here (no module {error.name}): run  pip install 'hpsearch[worker]'"
    return f"TensorFlow can not be started: {type(error).__name__}: {error}"[:2_000]


def _die_with(parent_pid: int) -> None:
    """Arrange that the kernel kills this process when the supervisor ends: the pipe alone can not while C code runs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)


if __name__ == "__main__":
    main()
