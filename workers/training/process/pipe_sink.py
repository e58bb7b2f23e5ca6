"""PipeSink: the sink that passes an engine's reports to the supervisor and takes trials from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hpsearch.domain.trial import Measurement, Outcome
from workers.trainers.messages import Dropped, Epoch, Finished, Idle, Trained
from workers.training.engine.contract import Engine
from workers.training.engine.failures import outcome_of
from workers.training.engine.task import TrialTask
from workers.training.process.channel import Channel

_LOST: Final = Outcome(state="FAILED", cause="training_error", detail="the engine ended without a result")


class PipeSink:
    """The sink of one call of an engine: every attempt taken ends in one `Finished` or one `Dropped`.

    Args:
        channel: To the supervisor.
        engine: Whose slots the supervisor is told of when they change; None for no engine.
    """

    def __init__(self, channel: Channel, engine: Engine | None = None) -> None:
        self._channel = channel
        self._engine = engine
        # By identity: a trial may come back as another attempt, and equal tasks are costly to compare.
        self._held: dict[int, tuple[int, TrialTask]] = {}

    def more(self, n: int) -> Sequence[TrialTask]:
        """Return up to `n` trials that have arrived, without waiting."""
        if self._engine is not None:
            self._channel.send_slots(self._engine.n_slots, self._engine.capacity)
        tasks: list[TrialTask] = []
        while len(tasks) < n and (taken := self._channel.take(n - len(tasks))):
            for ticket, task in taken:
                if self._channel.is_dropped(ticket):
                    self._gone(ticket)
                else:
                    self._held[id(task)] = (ticket, task)
                    tasks.append(task)
        return tasks

    def wait(self, timeout_s: float) -> None:
        """Return when trials have arrived, or after so many seconds."""
        self._channel.wait_for_trials(timeout_s)

    def trained(self, task: TrialTask) -> None:
        """Pass on that a trial has left its slot while its model file is being written."""
        held = self._held.get(id(task))
        if held is not None:
            self._channel.send(Trained(ticket=held[0]))

    def epoch(self, task: TrialTask, measurement: Measurement) -> None:
        """Pass one epoch on; of a trial that is over, nothing."""
        held = self._held.get(id(task))
        if held is not None:
            self._channel.send(Epoch(ticket=held[0], measurement=measurement))

    def finished(self, task: TrialTask, outcome: Outcome, model: Path | None) -> None:
        """Pass an end on, once."""
        held = self._held.pop(id(task), None)
        if held is not None:
            self._channel.forget(held[0])
            self._channel.send(Finished(ticket=held[0], outcome=outcome, model=model))

    def should_stop(self, task: TrialTask) -> bool:
        """Return whether the supervisor has dropped the attempt; if so it is over."""
        held = self._held.get(id(task))
        if held is None:
            return True
        if not self._channel.is_dropped(held[0]):
            return False
        del self._held[id(task)]
        self._gone(held[0])
        return True

    def keeps_model(self, task: TrialTask, value: float) -> bool:
        """Return whether the model of a trial of this value is wanted."""
        return self._channel.thresholds.keeps(task.trial, task.study, value)

    def settle(self, error: Exception | None) -> None:
        """End all attempts that have no end, because the engine is done or has raised an error.

        An error while many were in training says nothing about any one of them: they go back to the queue, and one that
        comes back too often is trained alone.
        """
        held = [task for _, task in self._held.values()]
        outcome = _LOST if error is None else outcome_of(error)
        if len(held) > 1:
            outcome = Outcome(state="FAILED", cause="crashed", detail=outcome.detail)
        for task in held:
            self.finished(task, outcome, None)

    def _gone(self, ticket: int) -> None:
        self._channel.forget(ticket)
        self._channel.send(Dropped(ticket=ticket))


def train_all(engine: Engine, channel: Channel) -> None:
    """Train what has arrived and what arrives meanwhile, until nothing is left.

    Whatever the engine does, the supervisor gets exactly one end of every attempt it sent.

    Args:
        engine: One with no use for `more` gets its next trials in another call.
        channel: To the supervisor.
    """
    while True:
        sink = PipeSink(channel, engine)
        tasks = sink.more(engine.n_slots)
        if not tasks:
            break
        raised: Exception | None = None
        try:
            engine.train(tasks, sink)
        except Exception as error:  # noqa: BLE001 - a broken trial must not break the trainer
            raised = error
        sink.settle(raised)
    channel.send(Idle())
