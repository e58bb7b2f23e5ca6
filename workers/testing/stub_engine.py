"""StubEngine: "trains" for a set time and reports an exact function of the parameters; misbehaves on request.

Everything is set by environment variables, because the engine lives in a process of its own:

- `HPSEARCH_STUB_EPOCHS` (3): epochs of each trial.
- `HPSEARCH_STUB_EPOCH_S` (0.01): seconds each epoch takes.
- `HPSEARCH_STUB_FAULTS`: comma-separated `fault:parameter=value`; a trial with that value of that parameter
  - `kill`s its own process (SIGKILL) after the first epoch,
  - `hang`s for ever after the first epoch,
  - `error`s: raises an exception,
  - `diverge`s,
  - `fill`s: meets a full disk.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from hpsearch.domain.trial import Measurement, Outcome, Params
from workers.training.engine import Sink
from workers.training.task import TrialTask

_HANG_S: Final = 3600.0


def stub_value(params: Params) -> float:
    """Return the value every stub trial of these parameters reports: from 0 to below 1, the same everywhere."""
    text = json.dumps(params, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48


def stub_curve(params: Params, n_epochs: int) -> list[float]:
    """Return the metric of each epoch: rises evenly to `stub_value`."""
    return [stub_value(params) * epoch / n_epochs for epoch in range(1, n_epochs + 1)]


def stub_model(params: Params) -> bytes:
    """Return the content of the model file a stub trial of these parameters writes."""
    return b"stub model " + json.dumps(params, sort_keys=True).encode()


@dataclass(frozen=True)
class StubEngine:
    """An engine that invents results.

    Attributes:
        n_epochs: Of each trial.
        epoch_s: Seconds each takes.
        faults: Parameter and value, as text, of each kind of fault.
    """

    n_epochs: int = 3
    epoch_s: float = 0.01
    faults: tuple[tuple[str, str, str], ...] = ()

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Return the engine that the environment variables describe."""
        environment = os.environ if environment is None else environment
        faults = []
        for text in filter(None, environment.get("HPSEARCH_STUB_FAULTS", "").split(",")):
            fault, _, condition = text.partition(":")
            name, _, value = condition.partition("=")
            faults.append((fault, name, value))
        return cls(
            n_epochs=int(environment.get("HPSEARCH_STUB_EPOCHS", "3")),
            epoch_s=float(environment.get("HPSEARCH_STUB_EPOCH_S", "0.01")),
            faults=tuple(faults),
        )

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        """Report invented epochs and an exact result for each task, one after another."""
        for task in tasks:
            self._train_one(task, sink)

    def _train_one(self, task: TrialTask, sink: Sink) -> None:
        fault = next((f for f, name, value in self.faults if str(task.trial.params.get(name)) == value), None)
        started_s = time.monotonic()
        curve = stub_curve(task.trial.params, self.n_epochs)
        for epoch, value in enumerate(curve, start=1):
            time.sleep(self.epoch_s)
            sink.epoch(task, Measurement(epoch=epoch, metrics={task.study.metric: value}))
            if sink.should_stop(task):
                return
            if fault is not None and self._misbehave(fault, task, sink):
                return
        model = None
        if task.model_path is not None and sink.keeps_model(task, curve[-1]):
            task.model_path.write_bytes(stub_model(task.trial.params))
            model = task.model_path
        outcome = Outcome(
            state="COMPLETE",
            value=curve[-1],
            metrics={task.study.metric: curve[-1]},
            best_epoch=self.n_epochs,
            epochs=self.n_epochs,
            device_seconds=time.monotonic() - started_s,
            stop_reason="max_epochs",
        )
        sink.finished(task, outcome, model)

    def _misbehave(self, fault: str, task: TrialTask, sink: Sink) -> bool:
        """Do what was asked for, and return whether the trial has ended by it."""
        match fault:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(_HANG_S)
            case "error":
                msg = "the stub was told to fail"
                raise RuntimeError(msg)
            case "fill":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case "diverge":
                sink.finished(task, Outcome(state="INFEASIBLE", cause="diverged", epochs=1), None)
                return True
        return False
