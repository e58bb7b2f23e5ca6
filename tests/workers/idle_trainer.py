"""A trainer without a process, for tests of what is decided about trainers."""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace
from typing import Any, cast

from hpsearch.wire.claims import ClaimedTrial
from tests.workers.fake_server import FakeServer
from workers.assignments import Assignment
from workers.trainers.messages import Command, Ready, Train
from workers.trainers.trainer import Phase, Trainer

_TICKETS = itertools.count(1)


class IdleTrainer(Trainer):
    """Takes commands and does nothing."""

    def __init__(self, capacity: int = 8, **ready: Any) -> None:
        self.phase = Phase.READY
        self.ready = Ready(n_gpus=0, engine="none", capacity=capacity, **ready)
        self.held: dict[int, Assignment] = {}
        self.writing: set[int] = set()
        self.is_solo = False
        self.thresholds: dict[str, float | None] = {}
        self.base_memory_bytes = None
        self.n_finished = 0
        self.started_s = self.progress_s = self.shared_s = time.monotonic()
        self.process = cast("Any", SimpleNamespace(poll=lambda: None))
        self.heard: list[Command] = []
        self.resident_bytes = 0

    def send(self, command: Command) -> None:
        self.heard.append(command)

    def memory_bytes(self) -> int:
        return self.resident_bytes

    def given(self) -> list[int]:
        """Return the numbers of the trials it was told to train."""
        return [
            trial.number for command in self.heard if isinstance(command, Train) for trial in command.trials.values()
        ]


def assignment(number: int = 0, *, alone: bool = False, n_epochs: int = 0, **study: Any) -> Assignment:
    """Return a trial as the worker holds it."""
    trial = ClaimedTrial(
        trial_id=f"t{number}",
        study_id=study.get("study_id", "study-1"),
        number=number,
        kind="search",
        attempt=1,
        params={},
        seed=0,
        alone=alone,
    )
    return Assignment(next(_TICKETS), trial, FakeServer().study.model_copy(update=study), n_epochs=n_epochs)
