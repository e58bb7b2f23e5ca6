"""ModelUploader: uploads the models of finished trials before their results are reported."""

from __future__ import annotations

import queue
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hpsearch.domain.trial import Outcome
from hpsearch.errors import HpsearchError
from workers.assignments import Assignment, Assignments
from workers.server.model_thresholds import ModelThresholds
from workers.server.server_session import ServerSession
from workers.server.worker_thread import WorkerThread

_LOOK_S: Final = 0.5
_FOLLOW_S: Final = 0.02


class ModelUploader(WorkerThread):
    """A thread that uploads, one model after another; heartbeats and training go on meanwhile.

    Args:
        session: To the server.
        assignments: Takes the outcome once the model is delivered or not wanted.
        thresholds: Says which models are wanted.
        log: Takes the lines.
    """

    def __init__(
        self, *, session: ServerSession, assignments: Assignments, thresholds: ModelThresholds, log: Any
    ) -> None:
        super().__init__("uploader", session, log)
        self._session = session
        self._assignments = assignments
        self._thresholds = thresholds
        self._log = log
        self._in_transit: set[Assignment] = set()
        # Attempts with a model whose report the server has not accepted yet, and those that wait for it.
        self._leaders: dict[Assignment, Outcome] = {}
        self._followers: list[tuple[tuple[Assignment, ...], Assignment, Outcome]] = []
        # Not a SimpleQueue: interrupted by a signal, its get(timeout=…) can wait for ever (seen with CPython 3.11.7).
        self._uploads: queue.Queue[tuple[Assignment, Outcome, Path]] = queue.Queue()

    def deliver(self, assignment: Assignment, outcome: Outcome, model: Path | None) -> None:
        """See to it that an outcome is reported, after its model has arrived if it has one that is wanted.

        One without a model that is as good as another whose model is on its way is reported after that: of equals the
        server takes the first for the best, and the best must have its model.
        """
        if model is not None:
            self._in_transit.add(assignment)
            self._leaders[assignment] = outcome
            self._uploads.put((assignment, outcome, model))
            return
        self._leaders = {leader: led for leader, led in self._leaders.items() if not leader.is_over}
        matched = [leader for leader, led in self._leaders.items() if _is_matched(leader, led, assignment, outcome)]
        if matched:
            self._followers.append((tuple(matched), assignment, outcome))
        else:
            self._assignments.settle(assignment, outcome)

    def is_uploading(self, assignment: Assignment) -> bool:
        """Return whether the outcome of this attempt waits for its model to arrive."""
        return assignment in self._in_transit

    def work(self) -> None:
        """Upload until the worker stops."""
        while not self._session.stop.is_set():
            with suppress(queue.Empty):
                self._upload(*self._uploads.get(timeout=_FOLLOW_S if self._followers else _LOOK_S))
            self._let_follow()

    def _let_follow(self) -> None:
        """Report those whose leaders' reports have been accepted."""
        for follower in tuple(self._followers):
            leaders, assignment, outcome = follower
            if all(leader.is_over for leader in leaders):
                self._followers.remove(follower)
                self._assignments.settle(assignment, outcome)

    def _upload(self, assignment: Assignment, outcome: Outcome, model: Path) -> None:
        trial, value = assignment.trial, outcome.value if outcome.state == "COMPLETE" else None
        is_wanted = value is not None and self._thresholds.keeps(trial, assignment.study, value)
        if is_wanted and not assignment.is_over:
            try:
                self._session.retrying(
                    lambda worker_id: self._session.client.workers.upload_model(
                        worker_id, trial.trial_id, trial.attempt, model
                    )
                )
            except HpsearchError as error:
                # The report decides what becomes of the result; without its model it is still a result.
                self._log.warning(f"the model of {assignment.title} was not taken: {error.message}")
        with suppress(OSError):
            model.unlink()
        self._assignments.settle(assignment, outcome)
        self._in_transit.discard(assignment)


def _is_matched(leader: Assignment, led: Outcome, assignment: Assignment, outcome: Outcome) -> bool:
    """Return whether an outcome is of the same study as that of an attempt with a model, and not worse."""
    if leader.study.study_id != assignment.study.study_id or led.value is None or outcome.value is None:
        return False
    return outcome.state == "COMPLETE" and not leader.study.objective.better(led.value, outcome.value)
