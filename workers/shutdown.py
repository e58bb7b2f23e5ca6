"""The last seconds of a worker: results are delivered, everything unfinished is given back."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from hpsearch.domain.trial import Outcome
from hpsearch.errors import HpsearchError
from hpsearch.wire.reports import MAX_MEASUREMENTS, MAX_REPORTS, ReportRequest, TrialReport
from workers.assignments import Assignment, Ledger, report_of
from workers.server.model_uploader import Courier
from workers.server.report_journal import Journal
from workers.server.reporter import refused_reply
from workers.server.server_session import Link
from workers.server.worker_thread import Loop

# A supervisor told to go gives its trials back within these seconds, or leaves them to their leases.
FAREWELL_S: Final = 3.0
# How long models on their way and a claim in flight are waited for; part of the above.
_LINGER_S: Final = 1.0
_RETRY_S: Final = 0.3


def give_back(link: Link, ledger: Ledger, courier: Courier, claimer: Loop, journal: Journal, log: Any) -> None:
    """Report what has ended and release the rest; returns within `FAREWELL_S` seconds, whatever the server does.

    Args:
        link: Already stopped.
        ledger: What is held; empty afterwards unless the server could not be reached.
        courier: Has a moment to finish the model it is uploading.
        claimer: Has a moment to bring home a claim in flight, whose trials are released as well.
        journal: Takes what the server has answered.
        log: Takes the lines.
    """
    deadline_s = time.monotonic() + FAREWELL_S

    def speak() -> None:
        _flush(link, ledger, journal, [a for a in ledger.held() if not courier.has(a)], deadline_s)
        linger_s = time.monotonic() + _LINGER_S
        for loop in (courier, claimer):
            if loop.is_alive():
                loop.join(max(0.0, linger_s - time.monotonic()))
        _flush(link, ledger, journal, ledger.held(), deadline_s)

    # In a thread of its own: a server that swallows requests must not hold the worker.
    last = threading.Thread(target=speak, name="farewell", daemon=True)
    last.start()
    last.join(FAREWELL_S)
    left = ledger.held()
    if left:
        titles = [assignment.title for assignment in left]
        log.warning("the server could not be told: others get these trials once the leases have lapsed", trials=titles)


def _flush(link: Link, ledger: Ledger, journal: Journal, assignments: Sequence[Assignment], deadline_s: float) -> None:
    for begin in range(0, len(assignments), MAX_REPORTS):
        _tell(link, ledger, journal, assignments[begin : begin + MAX_REPORTS], deadline_s)


def _tell(link: Link, ledger: Ledger, journal: Journal, assignments: Sequence[Assignment], deadline_s: float) -> None:
    request = ReportRequest(reports=tuple(_last_word(assignment) for assignment in assignments))
    while time.monotonic() < deadline_s:
        try:
            reply = link.client.workers.report(link.worker_id, request)
        except HpsearchError as error:
            refused = refused_reply(error)
            if refused is None:
                time.sleep(_RETRY_S)
                continue
            reply = refused
        for report, result in zip(request.reports, reply.results, strict=False):
            journal.note(link.worker_id, report, result)
        for assignment in assignments:
            ledger.close(assignment)
        return


def _last_word(assignment: Assignment) -> TrialReport:
    measurements = tuple(assignment.unsent)
    if assignment.outcome is None or len(measurements) > MAX_MEASUREMENTS:
        return report_of(assignment, (), Outcome(state="RELEASED", cause="shutdown"))
    return report_of(assignment, measurements, assignment.outcome)
