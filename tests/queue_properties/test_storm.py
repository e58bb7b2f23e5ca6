"""Everything at once from many threads and two server processes' worth of service: no deadlock, nothing broken."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import pytest

from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Outcome
from hpsearch.errors import ConflictError, InvalidStudyError
from hpsearch.service.context import Context
from hpsearch.service.fleet import workers
from hpsearch.service.ids import new_uid
from hpsearch.service.operations.maintenance import Maintenance
from hpsearch.service.queue import claims, reports
from hpsearch.service.results import trials
from hpsearch.service.studies import crud as studies
from hpsearch.service.studies import steering
from hpsearch.settings import Settings
from hpsearch.wire.claims import ClaimedTrial, ClaimRequest
from hpsearch.wire.reports import ReportRequest, TrialReport
from hpsearch.wire.studies import EnqueueRequest, ExtendRequest
from hpsearch.wire.workers import RegisterRequest
from tests.invariants import invariants
from tests.invariants.journal import JournalEntry
from tests.service.fleet_stub import ADMIN, complete, definition, grid, objective

_STORM_S: Final = float(os.environ.get("HPSEARCH_TEST_STORM_S", "2.5"))
# A machine with much else to do needs longer until everything that should happen has happened.
_MAX_STORM_S: Final = 30.0
_CALM_S: Final = 40.0
_OTHERWISE: Final = (
    Outcome(state="FAILED", cause="training_error"),
    Outcome(state="FAILED", cause="crashed"),
    Outcome(state="INFEASIBLE", cause="diverged"),
    Outcome(state="INFEASIBLE", cause="oom"),
    Outcome(state="RELEASED", cause="shutdown"),
)


@dataclass
class Storm:
    """Threads that speak to any of the replicas, and what they were told.

    Attributes:
        replicas: Contexts on one database.
        calm: Set when workers should only finish what there is.
    """

    replicas: list[Context]
    calm: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    journal: list[JournalEntry] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)
    studies: list[str] = field(default_factory=list)

    def any(self, rng: random.Random) -> Context:
        return rng.choice(self.replicas)

    def run(self, job: Callable[[random.Random], None], seed: int) -> threading.Thread:
        def body() -> None:
            try:
                job(random.Random(seed))
            except BaseException as error:  # noqa: BLE001 - told by the test
                self.errors.append(error)

        thread = threading.Thread(target=body)
        thread.start()
        return thread

    def create(self, plan: StudyDefinition) -> None:
        self.studies.append(studies.create(self.replicas[0], ADMIN, plan).study_id)

    def create_large(self) -> None:
        """Create a study that no storm outlives."""
        target = {"target": 0.97} if len(self.studies) % 2 else {}
        self.create(definition(budget={"max_trials": 500, "max_failed": 1000, **target}, parallelism=9))

    def work(self, worker_id: str, rng: random.Random) -> None:
        """Claim, report and repeat as a worker with a bad network, bad luck and a frozen process now and then."""
        while not self.over.is_set():
            request = ClaimRequest(claim_id=new_uid(), max_trials=rng.randint(1, 3))
            held = claims.claim(self.any(rng), ADMIN, worker_id, request).trials
            if held and not self.calm.is_set() and rng.random() < 0.2:
                again = claims.claim(self.any(rng), ADMIN, worker_id, request).trials
                assert {t.trial_id for t in again} <= {t.trial_id for t in held}
            if not held:
                time.sleep(0.01)
                continue
            self.report(rng, worker_id, [TrialReport(trial_id=t.trial_id, attempt=t.attempt) for t in held])
            if not self.calm.is_set() and rng.random() < 0.05:
                time.sleep(0.5)  # longer than its leases
            entries = [self.ending(rng, trial) for trial in held]
            self.report(rng, worker_id, entries)
            if rng.random() < 0.2:
                self.report(rng, worker_id, entries[::-1])
            if self.calm.is_set():
                workers.enable(self.any(rng), worker_id)

    def ending(self, rng: random.Random, trial: ClaimedTrial) -> TrialReport:
        outcome = complete(objective(trial.params), device_seconds=0.25)
        if not self.calm.is_set() and rng.random() < 0.3:
            outcome = rng.choice(_OTHERWISE)
        return TrialReport(trial_id=trial.trial_id, attempt=trial.attempt, outcome=outcome)

    def report(self, rng: random.Random, worker_id: str, entries: list[TrialReport]) -> None:
        reply = reports.report(self.any(rng), ADMIN, worker_id, ReportRequest(reports=tuple(entries)))
        statuses = [result.status for result in reply.results]
        assert set(statuses) <= {"accepted", "replayed", "stale_attempt", "result_conflict"}
        self.journal += [JournalEntry(status=s, **e.model_dump()) for e, s in zip(entries, statuses, strict=True)]

    def steer(self, rng: random.Random) -> None:
        """Pause, resume, stop, cancel, extend, retry, enqueue and create, whatever that does to whom."""
        point = EnqueueRequest(params={"learning_rate": 0.01, "dropout": 0.25})
        while not self.calm.is_set():
            ctx, uid = self.any(rng), rng.choice(self.studies[-5:])
            trial_id = rng.choice(trials.trials(ctx, uid, limit=50).items).trial_id
            acts: list[Callable[[], object]] = [
                *[partial(steering.pause, ctx, uid)] * 2,
                *[partial(steering.resume, ctx, uid)] * 6,
                *[partial(steering.retry_failed, ctx, uid)] * 2,
                *[partial(steering.enqueue, ctx, ADMIN, uid, point)] * 2,
                *[partial(steering.stop_trial, ctx, trial_id)] * 3,
                partial(steering.retry_trial, ctx, trial_id),
                partial(steering.extend, ctx, uid, ExtendRequest(max_trials=600)),
                partial(steering.cancel, ctx, uid),
                partial(steering.stop, ctx, uid),
            ]
            with suppress(ConflictError, InvalidStudyError):
                rng.choice(acts)()
            if sum(studies.get(ctx, uid).ended_at is None for uid in self.studies[-5:]) < 3:
                self.create_large()
            time.sleep(0.005)

    @property
    def answers(self) -> set[str]:
        """The different answers that reports have got."""
        return {entry.status for entry in self.journal}

    def rage(self) -> None:
        """Let it storm for its time, and on until reports have got at least three kinds of answers."""
        began_s = time.monotonic()
        time.sleep(_STORM_S)
        while len(self.answers) < 3 and time.monotonic() - began_s < _MAX_STORM_S and not self.errors:
            time.sleep(0.1)

    def settle(self) -> None:
        """Let everything end: nobody steers any more, workers finish what has begun, and two small studies wholly."""
        self.calm.set()
        for uid in self.studies:
            with suppress(ConflictError):
                steering.stop(self.replicas[0], uid)
        self.create(grid())
        self.create(definition(budget={"max_trials": 20}))
        deadline = time.monotonic() + _CALM_S
        while any(studies.get(self.replicas[0], uid).ended_at is None for uid in self.studies):
            assert not self.errors
            assert time.monotonic() < deadline, [studies.get(self.replicas[0], uid).counts for uid in self.studies]
            time.sleep(0.05)


@pytest.fixture
def replicas(settings: Settings) -> Iterator[list[Context]]:
    quick = settings.model_copy(update={"lease_s": 0.4, "heartbeat_s": 0.1, "reaper_s": 0.1})
    n = 2 if settings.database_url.startswith("postgresql") else 1
    opened = [Context.open(quick) for _ in range(n)]
    minders = [Maintenance(ctx) for ctx in opened]
    for minder in minders:
        minder.start()
    yield opened
    for minder in minders:
        minder.stop()
    for ctx in opened:
        ctx.close()


@pytest.mark.slow
def test_nothing_breaks_and_everything_ends(replicas: list[Context]) -> None:
    storm = Storm(replicas)
    for _ in range(3):
        storm.create_large()
    crew = [workers.register(replicas[0], ADMIN, RegisterRequest(name="stormy")).worker_id for _ in range(3)]
    # Two threads for each worker: a request and its repetition may be under way at once.
    threads = [storm.run(partial(storm.work, who), seed) for seed, who in enumerate(crew * 2)]
    threads += [storm.run(storm.steer, seed) for seed in (7, 8)]
    try:
        storm.rage()
        storm.settle()
    finally:
        storm.calm.set()
        storm.over.set()
        for thread in threads:
            thread.join()
    assert not storm.errors, "a deadlock reads as a database that does not answer"
    assert len(storm.answers) >= 3, "no trouble was made"
    broken = invariants.check(replicas[0].store, journal=storm.journal, objective=objective, all_ended=True)
    assert broken == [], "\n".join(map(str, broken))
