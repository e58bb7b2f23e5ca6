"""Graceful shutdown: results are delivered, everything unfinished is released, within seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from hpsearch.domain.trial import Outcome
from hpsearch.errors import HpsearchError
from hpsearch.wire.reports import MAX_MEASUREMENTS, MAX_REPORTS, ReportRequest, TrialReport
from workers.assignments import Assignment, Assignments, report_of
from workers.server.model_uploader import ModelUploader
from workers.server.report_journal import ReportJournal
from workers.server.reporter import refused_reply
from workers.server.server_session import ServerSession
from workers.server.worker_thread import WorkerThread

# A supervisor told to go gives its trials back within these seconds, or leaves them to their leases.
SHUTDOWN_S: Final = 3.0
# How long models on their way and a claim in flight are waited for; part of the above.
_LINGER_S: Final = 1.0
_RETRY_S: Final = 0.3


def give_back(
    session: ServerSession,
    assignments: Assignments,
    uploader: ModelUploader,
    claimer: WorkerThread,
    journal: ReportJournal,
    log: Any,
) -> None:
    """Report what has ended and release the rest; returns within `SHUTDOWN_S` seconds, whatever the server does.

    Args:
        session: Already stopped.
        assignments: What is held; empty afterwards unless the server could not be reached.
        uploader: Has a moment to finish the model it is uploading.
        claimer: Has a moment to bring home a claim in flight, whose trials are released as well.
        journal: Takes what the server has answered.
        log: Takes the lines.
    """
    deadline_s = time.monotonic() + SHUTDOWN_S

    def flush_all() -> None:
        _flush(
            session, assignments, journal, [a for a in assignments.held() if not uploader.is_uploading(a)], deadline_s
        )
        linger_s = time.monotonic() + _LINGER_S
        for thread in (uploader, claimer):
            if thread.is_alive():
                thread.join(max(0.0, linger_s - time.monotonic()))
        _flush(session, assignments, journal, assignments.held(), deadline_s)

    # In a thread of its own: a server that swallows requests must not hold the worker.
    last = threading.Thread(target=flush_all, name="shutdown", daemon=True)
    last.start()
    last.join(SHUTDOWN_S)
    left = assignments.held()
    if left:
        titles = [assignment.title for assignment in left]
        log.warning("the server could not be told: others get these trials once the leases have lapsed", trials=titles)


def _flush(
    session: ServerSession,
    assignments: Assignments,
    journal: ReportJournal,
    batch: Sequence[Assignment],
    deadline_s: float,
) -> None:
    for begin in range(0, len(batch), MAX_REPORTS):
        _report(session, assignments, journal, batch[begin : begin + MAX_REPORTS], deadline_s)


def _report(
    session: ServerSession,
    assignments: Assignments,
    journal: ReportJournal,
    batch: Sequence[Assignment],
    deadline_s: float,
) -> None:
    request = ReportRequest(reports=tuple(_last_report(assignment) for assignment in batch))
    while time.monotonic() < deadline_s:
        try:
            reply = session.client.workers.report(session.worker_id, request)
        except HpsearchError as error:
            refused = refused_reply(error)
            if refused is None:
                time.sleep(_RETRY_S)
                continue
            reply = refused
        for report, result in zip(request.reports, reply.results, strict=False):
            journal.note(session.worker_id, report, result)
        for assignment in batch:
            assignments.close(assignment)
        return


def _last_report(assignment: Assignment) -> TrialReport:
    measurements = tuple(assignment.unsent)
    if assignment.outcome is None or len(measurements) > MAX_MEASUREMENTS:
        return report_of(assignment, (), Outcome(state="RELEASED", cause="shutdown"))
    return report_of(assignment, measurements, assignment.outcome)
