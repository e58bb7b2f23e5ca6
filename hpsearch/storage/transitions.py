"""What happens to a trial under its study's lock: one method for each event of the transition table.

A method writes all that the event changes, in the trial, its attempt, its result and the study's counters, or nothing:
each returns whether the trial was in a state, and at the attempt, that allows the event. The guard is inside the
statement that changes the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from hpsearch.domain.lifecycle import StudyState, TrialEvent, TrialKind, TrialState
from hpsearch.domain.objective import sort_key
from hpsearch.domain.trial import MAX_DETAIL_BYTES, Outcome
from hpsearch.storage.attempts import END_ATTEMPT
from hpsearch.storage.guarded_moves import move, state_in, target
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.pg_pipeline import unread
from hpsearch.storage.records import FailedRow, NewTrialRow, QueuedTrial, columns_of, to_record
from hpsearch.storage.study_row import StudyRow
from hpsearch.storage.tables import result, trial
from hpsearch.storage.trials import TrialRepository

_COUNTERS: Final = {
    TrialState.COMPLETE: "n_complete",
    TrialState.PRUNED: "n_pruned",
    TrialState.INFEASIBLE: "n_infeasible",
    TrialState.FAILED: "n_failed",
}
_NEW: Final = {
    "state": TrialState.WAITING.value, "turn": 1, "available_at": 0.0, "attempt": 0, "infra_attempts": 0,
    "oom_attempts": 0, "last_epoch": 0, "tier": 1, "device_seconds": 0.0,
}  # fmt: skip
_RETRIED: Final = {
    "state": TrialState.WAITING.value, "available_at": 0.0, "infra_attempts": 0, "oom_attempts": 0, "cause": None,
    "ended_at": None, "avoid_worker_id": None,
}  # fmt: skip
_ADD_RESULT: Final = unread(insert(result).inline())


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended.

    Attributes:
        outcome: As it is stored.
        digest: The fingerprint by which the same outcome, sent again, is known; None where the worker did not end the
            attempt: it may still report, and then be revived.
    """

    outcome: Outcome
    digest: str | None


class TrialTransitions:
    """The trials of a study under its lock."""

    def __init__(self, connection: Connection, row: StudyRow, *, at: datetime, lease_clock: LeaseClock) -> None:
        self._connection = connection
        self._row = row
        self._at = at
        self._now = lease_clock.now

    @property
    def _held(self) -> bool:
        return self._row.record.state == StudyState.PAUSED

    def create(self, rows: Sequence[NewTrialRow]) -> list[int]:
        """Insert waiting trials, count them and return their internal ids, in the same order."""
        study = self._row.record
        ids: list[int] = []
        if rows:
            shared = {
                **_NEW, "study_id": study.id, "precedence": -study.priority, "held": self._held, "created_at": self._at,
            }  # fmt: skip
            inserted = self._connection.execute(
                insert(trial).returning(trial.c.id, trial.c.uid), [{**shared, **vars(row)} for row in rows]
            ).all()
            by_uid = {row.uid: row.id for row in inserted}
            ids = [by_uid[row.uid] for row in rows]
        n_search = sum(row.search_index is not None for row in rows)
        self._row.count({"n_numbers": len(rows), "n_search": n_search})
        return ids

    def complete(self, ended: QueuedTrial, end: AttemptEnd, *, n_models: int) -> bool:
        """Accept a result.

        Args:
            ended: With its running attempt.
            end: With the objective's value.
            n_models: Of how many of the best trials the study keeps models; the last of them sets what a model must
                beat to be kept.
        """
        return self._accept(ended, end, TrialEvent.COMPLETE, n_models=n_models)

    def prune(self, ended: QueuedTrial, end: AttemptEnd) -> bool:
        """Accept the end of a trial that the study's pruner stopped."""
        return self._accept(ended, end, TrialEvent.PRUNE)

    def reject(self, ended: QueuedTrial, end: AttemptEnd) -> bool:
        """Accept that a trial has no objective: it diverged, or never fits into memory."""
        return self._accept(ended, end, TrialEvent.REJECT)

    def fail(self, ended: QueuedTrial, end: AttemptEnd) -> bool:
        """Accept that a trial failed: an error in training, or lost too often."""
        return self._accept(ended, end, TrialEvent.FAIL)

    def _accept(self, ended: QueuedTrial, end: AttemptEnd, event: TrialEvent, *, n_models: int = 0) -> bool:
        state, outcome = target(event), end.outcome
        value = outcome.value if state in (TrialState.COMPLETE, TrialState.PRUNED) else None
        begun = ended.started_at
        if not move(
            self._connection,
            ended,
            event,
            value=value,
            score=None if value is None else self._score(value),
            best_epoch=outcome.best_epoch,
            epochs=outcome.epochs if outcome.epochs is not None else (ended.last_epoch or None),
            stop_reason=outcome.stop_reason,
            cause=outcome.cause,
            ended_at=self._at,
            duration_s=None if begun is None else max(0.0, (self._at - begun).total_seconds()),
            lease_expires_at=None,
            device_seconds=ended.device_seconds + outcome.device_seconds,
        ):
            return False
        row = {
            "trial_id": ended.id,
            "attempt": ended.attempt,
            "state": state.value,
            "value": value,
            "metrics": outcome.metrics,
            "detail": _cut(outcome.detail),
            "outcome_digest": end.digest,
            "accepted_at": self._at,
        }
        self._connection.execute(_ADD_RESULT, row)
        self._end_attempt(ended, end, state=state.value)
        counters: dict[str, float] = {_COUNTERS[state]: 1, "device_seconds": outcome.device_seconds}
        if ended.kind == TrialKind.SEARCH:
            counters["n_search_finished"] = 1
            counters["n_search_failed"] = 1 if state is TrialState.FAILED else 0
            counters["n_search_lost"] = 1 if outcome.cause == "lost_repeatedly" else 0
        changes: dict[str, Any] = {}
        if state is TrialState.COMPLETE and value is not None and ended.kind in (TrialKind.SEARCH, TrialKind.BASELINE):
            changes = self._best_after(ended, value, n_models)
        if self._row.record.trouble is not None:
            changes["trouble"] = None
        self._row.count(counters, **changes)
        return True

    def _score(self, value: float) -> float:
        """Return what leaderboards order by: smaller is better."""
        return sort_key(value, self._row.record.direction)

    def _best_after(self, ended: QueuedTrial, value: float, n_models: int) -> dict[str, Any]:
        """Return the study's columns that a result changes: the best trial, and what a model must beat to be kept."""
        study = self._row.record
        changes: dict[str, Any] = {}
        if study.best_value is None or self._score(value) < self._score(study.best_value):
            changes = {"best_trial_id": ended.id, "best_value": value}
        if n_models > 1:
            changes["model_threshold"] = TrialRepository(self._connection).kth_value(study.id, n_models)
        elif changes:
            changes["model_threshold"] = value
        return changes

    def release(self, ended: QueuedTrial, end: AttemptEnd, *, delay_s: float = 0.0) -> bool:
        """Put a trial back that its worker gives back; nothing is counted against it."""
        return self._requeue(ended, end, TrialEvent.RELEASE, delay_s=delay_s)

    def requeue_lost(self, ended: QueuedTrial, end: AttemptEnd, *, delay_s: float) -> bool:
        """Put a trial back whose attempt was lost, and count that; it can be claimed after ``delay_s`` seconds."""
        lost = ended.infra_attempts + 1
        return self._requeue(ended, end, TrialEvent.LOSE, delay_s=delay_s, attempt_state="LOST", infra_attempts=lost)

    def requeue_elsewhere(self, ended: QueuedTrial, end: AttemptEnd) -> bool:
        """Put a trial back that ran out of device memory, for another worker than the present one."""
        n_oom, worker_id = ended.oom_attempts + 1, ended.worker_id
        return self._requeue(ended, end, TrialEvent.LOSE, delay_s=0.0, oom_attempts=n_oom, avoid_worker_id=worker_id)

    def _requeue(
        self,
        ended: QueuedTrial,
        end: AttemptEnd,
        event: TrialEvent,
        *,
        delay_s: float,
        attempt_state: str = "RELEASED",
        **columns: Any,
    ) -> bool:
        columns["device_seconds"] = ended.device_seconds + end.outcome.device_seconds
        if not self._back_to_waiting(ended, event, delay_s=delay_s, **columns):
            return False
        self._end_attempt(ended, end, state=attempt_state)
        self._row.count({"device_seconds": end.outcome.device_seconds})
        return True

    def _back_to_waiting(self, ended: QueuedTrial, event: TrialEvent, *, delay_s: float, **columns: Any) -> bool:
        available_at = self._now + delay_s
        return move(
            self._connection, ended, event,
            held=self._held, available_at=available_at, lease_expires_at=None, **columns,
        )  # fmt: skip

    def requeue_quarantined(self, taken: QueuedTrial, *, why: str) -> bool:
        """Take a running trial back from a worker in quarantine; nothing is counted against it."""
        if not self._back_to_waiting(taken, TrialEvent.RELEASE, delay_s=0.0):
            return False
        # Without a digest: what the worker still reports is of a stale attempt.
        self._close_attempt(taken, ended_at=self._at, state="RELEASED", detail=why)
        return True

    def cancel(self, dropped: QueuedTrial, end: AttemptEnd | None = None) -> bool:
        """End an open trial without a result.

        Args:
            dropped: Waiting or running.
            end: How its attempt ended, if that is why it is dropped.
        """
        paid = {} if end is None else {"device_seconds": dropped.device_seconds + end.outcome.device_seconds}
        if not move(
            self._connection, dropped, TrialEvent.CANCEL,
            cause="cancelled", ended_at=self._at, lease_expires_at=None, **paid,
        ):  # fmt: skip
            return False
        if end is not None:
            self._end_attempt(dropped, end, state=TrialState.CANCELLED.value)
        elif dropped.state == TrialState.RUNNING:
            self._close_attempt(dropped, ended_at=self._at, state=TrialState.CANCELLED.value, cause="cancelled")
        counters: dict[str, float] = {"n_cancelled": 1}
        if dropped.kind == TrialKind.SEARCH:
            counters["n_search_cancelled"] = 1
        if end is not None:
            counters["device_seconds"] = end.outcome.device_seconds
        self._row.count(counters)
        return True

    def failed(self, trial_id: int | None = None) -> list[FailedRow]:
        """Return the failed trials, or one of them, held until the transaction ends; in order of their ids."""
        statement = select(*columns_of(FailedRow, trial)).where(*self._that_failed(trial_id))
        statement = statement.order_by(trial.c.id).with_for_update(key_share=True)
        return [to_record(FailedRow, row) for row in self._connection.execute(statement)]

    def _that_failed(self, trial_id: int | None) -> tuple[Any, ...]:
        one = () if trial_id is None else (trial.c.id == trial_id,)
        return (trial.c.study_id == self._row.record.id, state_in(TrialEvent.RETRY), *one)

    def retry(self, failed: Sequence[FailedRow], trial_id: int | None = None) -> None:
        """Put failed trials back into the queue without what their ends left; thousands cost what one does.

        Args:
            failed: What `failed` returned for the same trial.
            trial_id: The one that is retried; None for all.
        """
        those = self._that_failed(trial_id)
        self._connection.execute(delete(result).where(result.c.trial_id.in_(select(trial.c.id).where(*those))))
        self._connection.execute(update(trial).where(*those).values(**_RETRIED, held=self._held))
        searched = [one for one in failed if one.kind == TrialKind.SEARCH]
        n_lost = sum(one.cause == "lost_repeatedly" for one in searched)
        self._row.count(
            {
                "n_failed": -len(failed), "n_search_failed": -len(searched), "n_search_lost": -n_lost,
                "n_search_finished": -len(searched),
            }
        )  # fmt: skip

    def confirm(
        self, trial_id: int, *, mean: float, n_seeds: int, interval: tuple[float, float] | None,
        rank_interval: tuple[int, int],
    ) -> None:  # fmt: skip
        """Put a trial at the head of the board, at the mean over the seeds it was confirmed with.

        Args:
            trial_id: A complete trial.
            mean: Of the objective.
            n_seeds: Seeds that the mean is over.
            interval: The mean's 95 % interval; None below two seeds.
            rank_interval: The 95 % interval of its rank, from 1.
        """
        found = {"mean": mean, "n_seeds": n_seeds, "interval": interval, "rank_interval": rank_interval}
        statement = update(trial).where(trial.c.id == trial_id)
        self._connection.execute(statement.values(tier=0, score=self._score(mean), confirmation=found))

    def _end_attempt(self, ended: QueuedTrial, end: AttemptEnd, *, state: str) -> None:
        self._close_attempt(
            ended,
            ended_at=self._at,
            state=state,
            cause=end.outcome.cause,
            detail=_cut(end.outcome.detail),
            device_seconds=end.outcome.device_seconds,
            outcome_digest=end.digest,
        )

    def _close_attempt(self, ended: QueuedTrial, **columns: Any) -> None:
        key = {"ended_id": ended.id, "ended_attempt": ended.attempt}
        self._connection.execute(END_ATTEMPT, {**key, **columns})


def _cut(detail: str | None) -> str | None:
    # The end says what happened. Cut by bytes, whatever the alphabet; half a character at the cut goes too.
    return None if detail is None else detail.encode()[-MAX_DETAIL_BYTES:].decode(errors="ignore")
