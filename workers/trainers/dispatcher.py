"""Dispatcher: the trials whose data is here and that wait for a trainer, and which trainer gets which."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from hpsearch.domain.dataset import DatasetProfile
from workers.assignments import Assignment
from workers.server.model_thresholds import ModelThresholds
from workers.trainers.messages import Ticket, Train
from workers.trainers.trainer import Trainer


@dataclass(frozen=True)
class Prepared:
    """A trial that could begin.

    Attributes:
        content: The verified data file.
        profile: Of the data.
    """

    assignment: Assignment
    content: Path
    profile: DatasetProfile


class Dispatcher:
    """What waits, first come, first served.

    Args:
        thresholds: Which models are wanted.
        model_path: Returns a fresh path for a model.
    """

    def __init__(self, thresholds: ModelThresholds, model_path: Callable[[], Path]) -> None:
        self._thresholds = thresholds
        self._model_path = model_path
        self._waiting: deque[Prepared] = deque()
        self._alone: deque[Prepared] = deque()

    def put(self, prepared: Iterable[Prepared]) -> None:
        """Take trials in."""
        for one in prepared:
            (self._alone if one.assignment.trial.alone else self._waiting).append(one)

    def n_wanted(self, trainers: Sequence[Trainer]) -> int:
        """Return how many trials should be at hand for the trainers, those that wait here included."""
        kept_free = self._kept_free(trainers)
        return sum(trainer.room for trainer in trainers if trainer is not kept_free)

    def dispatch(self, trainers: Sequence[Trainer]) -> None:
        """Give trials to the trainers that have room, evenly."""
        self._waiting = deque(one for one in self._waiting if _is_wanted(one))
        self._alone = deque(one for one in self._alone if _is_wanted(one))
        for trainer in trainers:
            if self._alone and trainer.appetite and not trainer.held:
                self._give(trainer, [self._alone.popleft()])
        kept_free = self._kept_free(trainers)
        takers = sorted(
            (trainer for trainer in trainers if trainer.room and trainer is not kept_free),
            key=lambda trainer: len(trainer.held),
        )
        for n_left, trainer in zip(range(len(takers), 0, -1), takers, strict=True):
            share = -(-len(self._waiting) // n_left)
            self._give(trainer, [self._waiting.popleft() for _ in range(min(share, trainer.room))])

    def _kept_free(self, trainers: Sequence[Trainer]) -> Trainer | None:
        """Return the trainer that gets nothing until it is empty, because a trial waits that must be alone."""
        if not self._alone:
            return None
        return min((t for t in trainers if t.appetite), key=lambda trainer: len(trainer.held), default=None)

    def _give(self, trainer: Trainer, prepared: Sequence[Prepared]) -> None:
        trainer.add(one.assignment for one in prepared)
        for (study_id, content), group in groupby(prepared, lambda p: (p.assignment.study.study_id, p.content)):
            ones = list(group)
            threshold = trainer.thresholds[study_id] = self._thresholds.of(study_id)
            trainer.send(
                Train(
                    tickets=tuple(
                        Ticket(ticket=a.ticket, trial=a.trial, model_path=self._model_path())
                        for a in (one.assignment for one in ones)
                    ),
                    study=ones[0].assignment.study,
                    profile=ones[0].profile,
                    content=content,
                    threshold=threshold,
                )
            )


def _is_wanted(prepared: Prepared) -> bool:
    return not prepared.assignment.is_over and prepared.assignment.outcome is None
