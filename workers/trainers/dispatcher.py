"""Dispatcher: the queue of trials whose data is here, and which trainer process gets which."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.wire.claims import StudyBrief
from workers.assignments import Assignment
from workers.server.model_thresholds import ModelThresholds
from workers.trainers.messages import Threshold, Train
from workers.trainers.trainer import Trainer


class Dispatcher:
    """A queue, first come, first served.

    Args:
        thresholds: Which models are wanted.
        dataset_of: Returns the verified content of a study's data set and its profile.
        model_folder: Where trainers write models.
    """

    def __init__(
        self,
        thresholds: ModelThresholds,
        dataset_of: Callable[[StudyBrief], tuple[Path, DatasetProfile]],
        model_folder: Path,
    ) -> None:
        self._thresholds = thresholds
        self._dataset_of = dataset_of
        self._model_folder = model_folder
        self._waiting: deque[Assignment] = deque()
        self._alone: deque[Assignment] = deque()

    def put(self, assignments: Iterable[Assignment]) -> None:
        """Add trials to the queue."""
        for assignment in assignments:
            (self._alone if assignment.trial.alone else self._waiting).append(assignment)

    def n_wanted(self, trainers: Sequence[Trainer]) -> int:
        """Return how many trials should be at hand for the trainers, those that wait here included."""
        kept_free = self._kept_free(trainers)
        return sum(trainer.room for trainer in trainers if trainer is not kept_free)

    def dispatch(self, trainers: Sequence[Trainer]) -> None:
        """Give trials to the trainers that have room, evenly."""
        self._waiting = deque(one for one in self._waiting if _is_wanted(one))
        self._alone = deque(one for one in self._alone if _is_wanted(one))
        for trainer in trainers:
            if self._alone and trainer.capacity and not trainer.held:
                self._give(trainer, [self._alone.popleft()])
        kept_free = self._kept_free(trainers)
        takers = sorted(
            (trainer for trainer in trainers if trainer.room and trainer is not kept_free),
            key=lambda trainer: len(trainer.held),
        )
        for n_left, trainer in zip(range(len(takers), 0, -1), takers, strict=True):
            share = -(-len(self._waiting) // n_left)
            self._give(trainer, [self._waiting.popleft() for _ in range(min(share, trainer.room))])

    def send_threshold(self, trainer: Trainer, study_id: str) -> None:
        """Tell a trainer what trials of a study must beat, if that has changed."""
        threshold = self._thresholds.of(study_id)
        if threshold != trainer.thresholds.get(study_id):
            trainer.thresholds[study_id] = threshold
            trainer.send(Threshold(study_id=study_id, threshold=threshold))

    def _kept_free(self, trainers: Sequence[Trainer]) -> Trainer | None:
        """Return the trainer that gets nothing until it is empty, because a trial waits that must be alone."""
        if not self._alone:
            return None
        return min((t for t in trainers if t.capacity), key=lambda trainer: len(trainer.held), default=None)

    def _give(self, trainer: Trainer, assignments: Sequence[Assignment]) -> None:
        trainer.add(assignments)
        for study_id, group in groupby(assignments, lambda assignment: assignment.study.study_id):
            of_study = list(group)
            study = of_study[0].study
            content, profile = self._dataset_of(study)
            threshold = trainer.thresholds[study_id] = self._thresholds.of(study_id)
            trainer.send(
                Train(
                    trials={assignment.ticket: assignment.trial for assignment in of_study},
                    study=study,
                    profile=profile,
                    content=content,
                    model_folder=self._model_folder,
                    threshold=threshold,
                )
            )


def _is_wanted(assignment: Assignment) -> bool:
    return not assignment.is_over and assignment.outcome is None
