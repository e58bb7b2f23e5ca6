"""Reporter: sends heartbeats, epochs and outcomes in batches, and drops the trials the server does not want."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import ValidationError

from hpsearch.domain.trial import Outcome
from hpsearch.errors import HpsearchError
from hpsearch.wire.reports import ReportReply, ReportRequest, ReportResult, TrialReport
from hpsearch.wire.workers import WorkerProgress
from workers.assignments import Assignment, Assignments
from workers.server.model_thresholds import ModelThresholds
from workers.server.report_journal import ReportJournal
from workers.server.server_session import ServerSession
from workers.server.worker_thread import WorkerThread

# Epochs of quick trials travel together: at most five requests a second, whatever the number of trials. The end of a
# trial waits only for those of the same pack, which come within moments: the study may need it for its next trial.
_PACE_S: Final = 0.2
_GATHER_S: Final = 0.02
_MAX_IDLE_WAIT_S: Final = 1.0
_ACCEPTED: Final = frozenset({"accepted", "replayed"})

Batch = Sequence[tuple[Assignment, TrialReport]]


class Reporter(WorkerThread):
    """A thread that reports.

    Args:
        session: To the server.
        assignments: What there is to report.
        thresholds: Takes what the replies say.
        journal: Takes what the server has answered.
        drop: Called with a trial the server wants no more of.
        progress: Returns what the worker is doing, for the fleet's view.
        log: Takes the lines.
    """

    def __init__(
        self,
        *,
        session: ServerSession,
        assignments: Assignments,
        thresholds: ModelThresholds,
        journal: ReportJournal,
        drop: Callable[[Assignment], None],
        progress: Callable[[], WorkerProgress],
        log: Any,
    ) -> None:
        super().__init__("reporter", session, log)
        self._journal = journal
        self._session = session
        self._assignments = assignments
        self._thresholds = thresholds
        self._drop = drop
        self._progress = progress
        self._log = log
        self._sent_s = 0.0

    def work(self) -> None:
        """Report until the worker stops."""
        while not self._session.stop.is_set():
            self._wait()
            if self._session.stop.is_set():
                return
            batch = self._assignments.reports(quiet_s=self._session.heartbeat_s / 2)
            self._sent_s = time.monotonic()
            if batch:
                self._deliver(batch)

    def _wait(self) -> None:
        """Wait for news, but no longer than a heartbeat; then for a moment more, so that news travel together."""
        while not self._session.stop.is_set():
            left_s = self._session.heartbeat_s - self._assignments.quiet_for_s()
            if left_s <= 0 or self._assignments.wait_for_news(min(left_s, _MAX_IDLE_WAIT_S)):
                break
        self._assignments.wait_for_outcome(max(0.0, self._sent_s + _PACE_S - time.monotonic()))
        self._session.stop.wait(_GATHER_S)

    def _deliver(self, batch: Batch) -> None:
        """Send one request, the identical one until it is answered, and act on the answer."""
        request = ReportRequest(reports=tuple(report for _, report in batch), progress=self._progress())
        try:
            self._apply(
                batch, self._session.retrying(lambda worker_id: self._session.client.workers.report(worker_id, request))
            )
        except HpsearchError as error:
            reply = refused_reply(error)
            if reply is None:
                self._isolate(batch, error)
            else:
                self._apply(batch, reply)

    def _apply(self, batch: Batch, reply: ReportReply) -> None:
        self._thresholds.update({a.study.study_id for a, _ in batch}, reply.model_thresholds)
        for (assignment, report), result in zip(batch, reply.results, strict=False):
            self._journal.note(self._session.worker_id, report, result)
            if result.status in _ACCEPTED:
                self._assignments.acknowledge(assignment, report)
                if result.action == "stop" and report.outcome is None:
                    self._drop_trial(assignment, result)
            elif result.status == "invalid":
                self._refuse(assignment, report, result.detail or "the server found the report invalid")
            else:
                self._drop_trial(assignment, result)

    def _drop_trial(self, assignment: Assignment, result: ReportResult) -> None:
        if self._assignments.close(assignment):
            why = result.detail or ("the server wants it stopped" if result.status in _ACCEPTED else result.status)
            self._log.info(f"dropped {assignment.title}: {why}", status=result.status)
        self._drop(assignment)

    def _isolate(self, batch: Batch, error: HpsearchError) -> None:
        """Find the trial whose report the server refuses as a whole, so that it harms no other."""
        if len(batch) > 1:
            for entry in batch:
                self._deliver([entry])
            return
        self._refuse(*batch[0], error.message)

    def _refuse(self, assignment: Assignment, report: TrialReport, why: str) -> None:
        """End a trial whose report can not be accepted as it is: it would be refused for ever."""
        self._log.error(f"the server refuses the report of {assignment.title}: {why}")
        self._drop(assignment)
        failed = report.outcome is not None and report.outcome.state in ("FAILED", "RELEASED")
        if failed and not report.measurements:
            self._assignments.close(assignment)
            return
        detail = f"the server refused the worker's report: {why}"
        self._assignments.replace(assignment, Outcome(state="FAILED", cause="training_error", detail=detail[:4_000]))


def refused_reply(error: HpsearchError) -> ReportReply | None:
    """Return the reply inside the refusal of a single report (stale, in conflict, foreign, …), or None."""
    if "results" not in error.details:
        return None
    try:
        return ReportReply.model_validate(error.details)
    except ValidationError:
        return None
