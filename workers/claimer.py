"""Claimer: long-polls the server for as many trials as the trainers can use, and fetches their data sets."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any, Final

from hpsearch.domain.trial import Outcome
from hpsearch.errors import HpsearchError, InvalidInputError
from hpsearch.wire.claims import ClaimReply, ClaimRequest, StudyBrief
from workers.assignments import Assignment, Assignments
from workers.server.dataset_cache import DataCache
from workers.server.model_thresholds import ModelThresholds
from workers.server.server_session import ServerSession
from workers.server.worker_thread import WorkerThread
from workers.trainers.supervisor import Supervisor

# Between claims the server answered at once with nothing: draining, quarantined, or an old server.
_PAUSE_S: Final = 1.0
# After a claim that got less than it asked for.
_TURN_S: Final = 0.05
_MAX_TRIALS: Final = 1024
_MAX_DETAIL_CHARACTERS: Final = 2_000


class Claimer(WorkerThread):
    """A thread that claims.

    Args:
        session: To the server.
        assignments: Takes the claimed trials.
        thresholds: Takes what the replies say.
        cache: Fetches data.
        supervisor: Trains.
        wait_s: Seconds a claim waits on the server for work.
        log: Takes the lines.
    """

    def __init__(
        self,
        *,
        session: ServerSession,
        assignments: Assignments,
        thresholds: ModelThresholds,
        cache: DataCache,
        supervisor: Supervisor,
        wait_s: float,
        log: Any,
    ) -> None:
        super().__init__("claimer", session, log)
        self._session = session
        self._assignments = assignments
        self._thresholds = thresholds
        self._cache = cache
        self._supervisor = supervisor
        self._wait_s = wait_s
        self._log = log
        self._wanted = threading.Event()

    def wake(self) -> None:
        """Look again whether trials are wanted."""
        self._wanted.set()

    def work(self) -> None:
        """Claim until the worker stops."""
        while not self._session.stop.is_set():
            self._wanted.clear()
            n = self._supervisor.n_wanted()
            if n <= 0:
                self._wanted.wait(_PAUSE_S)
            else:
                self._claim(n)

    def _claim(self, n: int) -> None:
        told = {"progress": self._supervisor.progress()} if self._session.hears_slots else {}
        request = ClaimRequest(claim_id=uuid.uuid4().hex, max_trials=min(n, _MAX_TRIALS), wait_s=self._wait_s, **told)
        asked_s = time.monotonic()
        try:
            reply = self._session.retrying(lambda worker_id: self._session.client.workers.claim(worker_id, request))
        except InvalidInputError:
            raise  # server and worker do not speak the same language
        except HpsearchError as error:
            self._log.warning(f"the server gives no trials: {error.message}")
            self._session.stop.wait(self._session.heartbeat_s)
            return
        self._prepare(self._take(reply))
        if not reply.trials and time.monotonic() - asked_s < self._wait_s / 2:
            self._session.stop.wait(_PAUSE_S)
        elif len(reply.trials) < n:
            # The server had no more, or shared them out: another worker's turn comes first.
            self._session.stop.wait(_TURN_S)

    def _take(self, reply: ClaimReply) -> list[Assignment]:
        """Enter all claimed trials at once, so that heartbeats cover them while data is fetched for the first."""
        self._thresholds.update(reply.studies, reply.model_thresholds)
        held = {assignment.trial.trial_id: assignment for assignment in self._assignments.held()}
        claimed = []
        for trial in reply.trials:
            study = reply.studies.get(trial.study_id)
            if study is None:
                self._log.error("the server sent a trial without its study: it is left alone", trial_id=trial.trial_id)
                continue
            earlier = held.get(trial.trial_id)
            if earlier is not None and earlier.trial.attempt < trial.attempt:
                # The server gave it up while this worker was cut off.
                self._assignments.close(earlier)
                self._supervisor.drop(earlier)
            claimed.append((trial, study))
        taken = self._assignments.add(claimed)
        if len(taken) > 1:
            self._log.info(f"claimed {len(taken)} trials: {_listed(taken)}")
        for assignment in taken if len(taken) == 1 else ():
            trial = assignment.trial
            self._log.info(f"claimed {assignment.title}", kind=str(trial.kind), n_weights=trial.n_weights)
        return taken

    def _prepare(self, claimed: Sequence[Assignment]) -> None:
        """Fetch the data of each study, and start all trials whose data is here at once, to be planned together."""
        ready: list[Assignment] = []
        failures: dict[str, Outcome | None] = {}
        for assignment in claimed:
            study = assignment.study
            if study.study_id not in failures:
                failures[study.study_id] = self._fetch(study)
            outcome = failures[study.study_id]
            if outcome is None:
                ready.append(assignment)
            else:
                self._assignments.settle(assignment, outcome)
        if ready:
            self._supervisor.start_trials(ready)

    def _fetch(self, study: StudyBrief) -> Outcome | None:
        """Fetch a study's data; return what becomes of its trials if it can not be had, otherwise None."""
        is_new = not self._cache.has(study)
        if is_new:
            self._supervisor.note_fetching(is_fetching=True)
        try:
            self._session.retrying(lambda _worker_id: self._cache.fetch(self._session.client, study))
        except HpsearchError as error:
            outcome = _fetch_failure(error)
            self._log.error(f"trials of {study.name} can not be started: {error.message}", outcome=outcome.state)
            return outcome
        else:
            return None
        finally:
            if is_new:
                self._supervisor.note_fetching(is_fetching=False)


def _listed(assignments: Sequence[Assignment]) -> str:
    """Return which trials of which studies, for people: ranges of numbers that follow one another."""
    parts = []
    for name in dict.fromkeys(assignment.study.name for assignment in assignments):
        numbers = sorted(a.trial.number for a in assignments if a.study.name == name)
        ranges: list[list[int]] = []
        for number in numbers:
            if ranges and number == ranges[-1][1] + 1:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
        shown = ", ".join(str(low) if low == high else f"{low} to {high}" for low, high in ranges)
        parts.append(f"{shown} of {name}")
    return "; ".join(parts)


def _fetch_failure(error: HpsearchError) -> Outcome:
    """Return what becomes of a trial whose data can not be had."""
    detail = error.message[:_MAX_DETAIL_CHARACTERS]
    if error.code in ("disk.full", "file.unwritable"):
        return Outcome(state="RELEASED", cause="disk_full", detail=detail)
    # Whether it is this worker's fault or the server's own file is gone, the server finds out.
    if error.code in ("digest_mismatch", "blob.digest_mismatch"):
        return Outcome(state="RELEASED", cause="data_mismatch", detail=detail)
    return Outcome(state="RELEASED", cause="data_missing", detail=detail)
