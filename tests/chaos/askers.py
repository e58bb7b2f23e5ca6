"""Asking clients: workers reduced to their requests, so that many of them ask at the same moment without pause."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from hpsearch.client import Client
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.errors import ConflictError, HpsearchError, InvalidStudyError, UnavailableError
from hpsearch.wire.claims import ClaimedTrial, ClaimRequest
from hpsearch.wire.reports import ReportReply, ReportRequest, TrialReport
from hpsearch.wire.workers import RegisterRequest
from tests.invariants.journal import JournalEntry, write
from workers.training.testing.stub_engine import stub_value

Result = TypeVar("Result")
_REPEAT_S = 0.05


@dataclass
class Askers:
    """Threads that claim, report the exact result at once, and journal what was acknowledged.

    Attributes:
        folder: For their journals.
        url: Of the server.
        token: Theirs.
        seed: Decides how much each asks for.
        enqueue_to: Study to which each also enqueues points now and then; None for none.
        n_enqueued: Points that were taken.
        n_unknown: Requests sent again because their outcome was unknown.
        counts: Of answers to reports, by status.
    """

    folder: Path
    url: str
    token: str
    seed: int
    enqueue_to: str | None = None
    n_enqueued: int = 0
    n_unknown: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def start(self, n: int) -> None:
        """Let so many of them ask."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in range(n):
            thread = threading.Thread(target=self._ask, args=(number,), name=f"asker-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> list[str]:
        """Stop them after the trials they hold, and return what went wrong with them."""
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        return self._errors + [f"{thread.name} did not stop" for thread in self._threads if thread.is_alive()]

    def journals(self) -> list[Path]:
        """Return their journals."""
        return sorted(self.folder.glob("*.journal"))

    def _ask(self, number: int) -> None:
        rng = random.Random(f"{self.seed}-{number}")
        try:
            with Client(self.url, self.token, timeout=30) as client:
                me = self._surely(lambda: client.workers.register(RegisterRequest(name=f"asker-{number}")))
                while not self._stop.is_set():
                    request = ClaimRequest(claim_id=uuid.uuid4().hex, max_trials=rng.randint(1, 4), wait_s=0.2)
                    reply = self._surely(partial(client.workers.claim, me.worker_id, request))
                    for trial in reply.trials:
                        self._finish(client, me.worker_id, trial, self.folder / f"asker-{number}.journal")
                        if self.enqueue_to is not None and rng.random() < 0.3:
                            self._enqueue(client, trial)
        except Exception as error:  # noqa: BLE001 - told to who stops them
            self._errors.append(f"asker {number}: {error!r}")

    def _finish(self, client: Client, worker_id: str, trial: ClaimedTrial, journal: Path) -> None:
        value = stub_value(trial.params)
        metrics: dict[str, float | None] = {"accuracy": value}
        report = TrialReport(
            trial_id=trial.trial_id,
            attempt=trial.attempt,
            measurements=(Measurement(epoch=1, metrics=metrics),),
            outcome=Outcome(state="COMPLETE", value=value, metrics=metrics, best_epoch=1, epochs=1),
        )
        request = ReportRequest(reports=(report,))
        status = self._surely(lambda: _status(client, worker_id, request))
        with self._guard:
            self.counts[status] += 1
        write(journal, [JournalEntry(status=status, **report.model_dump())])

    def _enqueue(self, client: Client, trial: ClaimedTrial) -> None:
        """Ask for the point of a finished trial once more; a study whose budget is made refuses."""
        with suppress(ConflictError, InvalidStudyError):
            key = uuid.uuid4().hex
            study_id = str(self.enqueue_to)
            self._surely(lambda: client.studies.enqueue(study_id, trial.params, idempotency_key=key))
            with self._guard:
                self.n_enqueued += 1

    def _surely(self, call: Callable[[], Result]) -> Result:
        """Send the identical request until it is answered."""
        deadline_s = time.monotonic() + 60
        while True:
            try:
                return call()
            except UnavailableError:
                with self._guard:
                    self.n_unknown += 1
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(_REPEAT_S)


def _status(client: Client, worker_id: str, request: ReportRequest) -> str:
    try:
        reply = client.workers.report(worker_id, request)
    except HpsearchError as error:
        if "results" not in error.details:
            raise
        reply = ReportReply.model_validate(error.details)
    return reply.results[0].status
