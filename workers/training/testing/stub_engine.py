"""StubEngine: "trains" for a set time and reports an exact function of the parameters; misbehaves on request.

Everything is set by environment variables, because the engine lives in a process of its own:

- `HPSEARCH_STUB_EPOCHS` (3): epochs of each trial.
- `HPSEARCH_STUB_EPOCH_S` (0.01): seconds each epoch takes, of one trial or of a whole pack.
- `HPSEARCH_STUB_COMPILE_S` (0): seconds for which it says that it compiles, before the first epoch of a call.
- `HPSEARCH_STUB_PACK` (1): trials in training at once; the slot of one that has ended is refilled at the next epoch.
- `HPSEARCH_STUB_FAULTS`: comma-separated `fault:parameter=value`; a trial with that value of that parameter
  - `kill`s its own process (SIGKILL) after the first epoch,
  - `slay`s its worker as well, as a machine that goes down does,
  - `hang`s for ever after the first epoch,
  - `error`s: ends as a trial that raised an exception,
  - `diverge`s,
  - `fill`s: meets a full disk,
  - `break`s: raises an exception out of the engine, whatever else is in training.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from hpsearch.domain.trial import Measurement, Outcome, Params
from workers.training.engine.contract import Sink
from workers.training.engine.task import TrialTask

_HANG_S: Final = 3600.0
_TOLD: Final = "the stub was told to fail"


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


@dataclass
class _Run:
    """One trial in training."""

    task: TrialTask
    curve: list[float]
    fault: str | None
    epoch: int = 0
    device_s: float = 0.0


@dataclass(frozen=True)
class StubEngine:
    """An engine that invents results.

    Attributes:
        n_epochs: Of each trial.
        epoch_s: Seconds each takes.
        faults: Parameter and value, as text, of each kind of fault.
        n_slots: Trials in training at once.
        compile_s: Seconds it pretends to compile with each call.
        compiling: Takes how many programs are being compiled; None tells nobody.
    """

    n_epochs: int = 3
    epoch_s: float = 0.01
    faults: tuple[tuple[str, str, str], ...] = ()
    n_slots: int = 1
    compile_s: float = 0.0
    compiling: Callable[[int], None] | None = None

    @classmethod
    def of_environment(
        cls, environment: Mapping[str, str] | None = None, compiling: Callable[[int], None] | None = None
    ) -> Self:
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
            n_slots=int(environment.get("HPSEARCH_STUB_PACK", "1")),
            compile_s=float(environment.get("HPSEARCH_STUB_COMPILE_S", "0")),
            compiling=compiling,
        )

    @property
    def capacity(self) -> int:
        """How many trials it can usefully hold."""
        return self.n_slots

    def train(self, tasks: Sequence[TrialTask], sink: Sink) -> None:
        """Report invented epochs and an exact result for each task, and for what a sink with `more` has besides."""
        more: Callable[[int], Sequence[TrialTask]] = getattr(sink, "more", lambda _n: ())
        waiting = [self._begin(task) for task in tasks]
        pack: list[_Run] = []
        if self.compile_s and self.compiling is not None:
            self.compiling(1)
            time.sleep(self.compile_s)
            self.compiling(0)
        while True:
            room = self.n_slots - len(pack)
            waiting += [self._begin(task) for task in more(room - len(waiting))] if room > len(waiting) else []
            pack, waiting = pack + waiting[:room], waiting[room:]
            if not pack:
                return
            time.sleep(self.epoch_s)
            pack = [run for run in pack if self._goes_on(run, self.epoch_s / len(pack), sink)]

    def _begin(self, task: TrialTask) -> _Run:
        fault = next((f for f, name, value in self.faults if str(task.trial.params.get(name)) == value), None)
        return _Run(task, stub_curve(task.trial.params, self.n_epochs), fault)

    def _goes_on(self, run: _Run, device_s: float, sink: Sink) -> bool:
        """Tell of one more epoch of a trial, and return whether there are further ones."""
        task = run.task
        run.device_s += device_s
        run.epoch += 1
        sink.epoch(task, Measurement(epoch=run.epoch, metrics={task.study.metric: run.curve[run.epoch - 1]}))
        if sink.should_stop(task):
            return False
        ending = None if run.fault is None else self._misbehave(run.fault)
        if ending is None and run.epoch < self.n_epochs:
            return True
        if ending is None:
            self._complete(run, sink)
        else:
            sink.finished(task, ending.model_copy(update={"epochs": run.epoch, "device_seconds": run.device_s}), None)
        return False

    def _complete(self, run: _Run, sink: Sink) -> None:
        task, value = run.task, run.curve[-1]
        model = None
        if task.model_path is not None and sink.keeps_model(task, value):
            task.model_path.write_bytes(stub_model(task.trial.params))
            model = task.model_path
        outcome = Outcome(
            state="COMPLETE",
            value=value,
            metrics={task.study.metric: value},
            best_epoch=self.n_epochs,
            epochs=self.n_epochs,
            device_seconds=run.device_s,
            stop_reason="max_epochs",
        )
        sink.finished(task, outcome, model)

    def _misbehave(self, fault: str) -> Outcome | None:
        """Do what was asked for, and return how the trial ends by it."""
        match fault:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "slay":
                os.kill(os.getppid(), signal.SIGKILL)
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(_HANG_S)
            case "break":
                raise RuntimeError(_TOLD)
            case "error":
                return Outcome(state="FAILED", cause="training_error", detail=f"RuntimeError: {_TOLD}")
            case "fill":
                return Outcome(state="RELEASED", cause="disk_full", detail=os.strerror(errno.ENOSPC))
            case "diverge":
                return Outcome(state="INFEASIBLE", cause="diverged")
        return None
