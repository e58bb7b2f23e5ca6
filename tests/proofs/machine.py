"""The model test's machine: it makes requests in any order and holds every answer against the oracle."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.errors import ConflictError, InvalidStudyError
from hpsearch.service import claims, fleet, reports, results, steering, studies
from hpsearch.service.filling import fill
from hpsearch.service.reaper import reap
from hpsearch.testing import invariants
from hpsearch.testing.journal import JournalEntry
from hpsearch.wire.claims import ClaimRequest
from hpsearch.wire.reports import ReportRequest, TrialReport
from hpsearch.wire.studies import EnqueueRequest, ExtendRequest
from hpsearch.wire.workers import RegisterRequest
from tests.proofs import oracle
from tests.proofs.oracle import Entry, Oracle, Refused, Study, Trial, Worker
from tests.proofs.place import Place
from tests.service.fleet_stub import ADMIN, definition, grid

_PICK: Final = st.integers(0, 99)
_LOST_REPLY: Final = st.sampled_from([False, False, False, True])
_GRID_POINTS: Final = [(layers, rate) for layers in (1, 2) for rate in (1e-3, 1e-2, 1e-1)]
_OUTCOMES: Final[dict[str, Outcome]] = {
    "good": Outcome(state="COMPLETE", value=0.9, metrics={"accuracy": 0.9}, device_seconds=1.5),
    "fair": Outcome(state="COMPLETE", value=0.5, metrics={"accuracy": 0.5}, epochs=2),
    "impossible": Outcome(state="COMPLETE", value=7.0),
    "pruned": Outcome(state="PRUNED", value=0.25),
    "diverged": Outcome(state="INFEASIBLE", cause="diverged", detail="loss is nan"),
    "oom": Outcome(state="INFEASIBLE", cause="oom"),
    "error": Outcome(state="FAILED", cause="training_error", detail="ValueError"),
    "crashed": Outcome(state="FAILED", cause="crashed", device_seconds=0.5),
    "stalled": Outcome(state="FAILED", cause="stalled"),
    "released": Outcome(state="RELEASED", cause="shutdown", device_seconds=0.25),
    "no data": Outcome(state="RELEASED", cause="data_mismatch"),
}
# What happens to most trials stands more often.
_HOW: Final = st.sampled_from([*_OUTCOMES, "good", "fair", "error", "crashed", "crashed", "crashed"])


def epoch(number: int, value: float = 0.5) -> Measurement:
    return Measurement(epoch=number, metrics={"accuracy": value})


class QueueMachine(RuleBasedStateMachine):
    """Requests of studies, workers and time, each answered as the oracle says."""

    place: ClassVar[Place]

    def __init__(self) -> None:
        super().__init__()
        self.place.empty()
        self.oracle = Oracle()
        self.ids: dict[str, str] = {}
        self.handles: list[tuple[Worker, Trial, int]] = []
        self.claim_ids: list[tuple[Worker, str, int]] = []
        self.journal: list[JournalEntry] = []
        self.enqueued: set[str] = set()
        self.deleted: set[str] = set()
        self.n_keys = 0

    @property
    def ctx(self) -> Any:
        return self.place.ctx

    def check(self) -> None:
        """Compare all that is stored with the oracle; broken invariants would not be seen by that alone."""
        assert self.place.snapshot() == self.oracle.snapshot()
        broken = invariants.check(self.ctx.store, journal=self.journal, enqueued=self.enqueued)
        assert broken == [], "\n".join(map(str, broken))

    def twice(self, lost_reply: bool, act: Callable[[], None]) -> None:  # noqa: FBT001
        """Act, and once more where the reply was lost: a caller that heard nothing repeats itself."""
        act()
        if lost_reply:
            act()
        self.check()

    # Studies

    @initialize()
    def begin(self) -> None:
        for name in ("a", "b", "c"):
            self.ids[name] = fleet.register(self.ctx, ADMIN, RegisterRequest(name=name)).worker_id
            self.oracle.workers.append(Worker(name))
        self.make(kind="random", max_trials=4, limit=None, budget={}, lost_reply=False)

    @precondition(lambda self: len(self.oracle.studies) < 3)
    @rule(
        kind=st.sampled_from(["random", "grid", "whole grid"]),
        max_trials=st.integers(1, 5),
        limit=st.sampled_from([None, 1, 2]),
        budget=st.sampled_from([{}, {"max_failed": 2}, {"target": 0.9}, {"wall_time_s": 200}]),
        lost_reply=_LOST_REPLY,
    )
    def make(self, kind: str, max_trials: int, limit: int | None, budget: dict[str, Any], lost_reply: bool) -> None:  # noqa: FBT001
        plain: dict[str, Any] = {"budget": budget if kind == "whole grid" else {"max_trials": max_trials, **budget}}
        plain |= {} if limit is None else {"parallelism": limit}
        if kind != "random":
            plain["space"] = {"layers": {"values": [1, 2]}, "units": 8, "learning_rate": {"values": [1e-3, 1e-2, 1e-1]}}
        asked = grid(**plain) if kind != "random" else definition(**plain)
        self.n_keys += 1
        view = studies.create(self.ctx, ADMIN, asked, idempotency_key=f"key {self.n_keys}")
        if lost_reply:
            again = studies.create(self.ctx, ADMIN, asked, idempotency_key=f"key {self.n_keys}")
            assert again.study_id == view.study_id
        study = Study(
            uid=view.study_id,
            created_at=self.oracle.now,
            max_trials=max_trials if kind != "whole grid" else 6,
            asked=kind != "whole grid",
            limit=limit or 256,
            max_failed=budget.get("max_failed", 20),
            target=budget.get("target"),
            wall_time_s=budget.get("wall_time_s"),
            grid_size=None if kind == "random" else 6,
        )
        self.oracle.studies.append(study)
        self.expect_new(study, study.n_to_fill)
        self.check()

    def expect_new(self, study: Study, n: int) -> None:
        """Note the trials that the service has made: exactly as many as it should."""
        known = {trial.uid for trial in study.trials}
        page = results.trials(self.ctx, study.uid, limit=100)
        fresh = [trial for trial in page.items if trial.trial_id not in known]
        assert len(fresh) == n, "created as many as the budget allows"
        for trial in fresh:
            self.oracle.created(study, trial.trial_id, trial.grid_index)

    def study(self, pick: int) -> Study:
        return self.oracle.studies[pick % len(self.oracle.studies)]

    @precondition(lambda self: self.oracle.studies)
    @rule(pick=_PICK)
    def refill(self, pick: int) -> None:
        study = self.study(pick)
        n = study.n_to_fill
        with self.ctx.store.read() as tx:
            study_id = tx.studies.get(study.uid).id
        assert fill(self.ctx, study_id) == n
        self.expect_new(study, n)
        self.check()

    def refusing(self, expected: Callable[[], object], act: Callable[[], object]) -> None:
        """Act, and see the service refuse exactly what the oracle refuses."""
        try:
            expected()
        except Refused:
            try:
                act()
            except (ConflictError, InvalidStudyError):
                return
            raise AssertionError("it should have been refused") from None
        act()

    @precondition(lambda self: self.oracle.studies)
    @rule(pick=_PICK, verb=st.sampled_from(["pause", "resume", "resume", "stop", "cancel"]), lost_reply=_LOST_REPLY)
    def steer(self, pick: int, verb: str, lost_reply: bool) -> None:  # noqa: FBT001
        study = self.study(pick)
        act = getattr(steering, verb)
        self.twice(
            lost_reply, lambda: self.refusing(lambda: self.oracle.steer(study, verb), lambda: act(self.ctx, study.uid))
        )

    @precondition(lambda self: self.oracle.studies)
    @rule(pick=_PICK, more=st.integers(0, 3))
    def extend(self, pick: int, more: int) -> None:
        study = self.study(pick)
        request = ExtendRequest(max_trials=study.max_trials + more)
        self.refusing(
            lambda: self.oracle.extend(study, request.max_trials),
            lambda: steering.extend(self.ctx, study.uid, request),
        )
        self.check()

    @precondition(lambda self: any(trial.state == "FAILED" for trial in self.oracle.trials))
    @rule(pick=_PICK, lost_reply=_LOST_REPLY)
    def retry_failed(self, pick: int, lost_reply: bool) -> None:  # noqa: FBT001
        failed = [study for study in self.oracle.studies if study.n("FAILED")]
        study = failed[pick % len(failed)]

        def act() -> None:
            wanted = [trial for trial in study.trials if trial.state == "FAILED"]
            self.refusing(
                lambda: self.oracle.retry(study, wanted),
                lambda: self.same(steering.retry_failed(self.ctx, study.uid).n_retried, len(wanted)),
            )

        self.twice(lost_reply, act)

    @staticmethod
    def same(received: object, expected: object) -> None:
        assert received == expected

    @precondition(lambda self: any(self.oracle.trials))
    @rule(pick=_PICK, what=st.sampled_from(["stop", "retry"]), lost_reply=_LOST_REPLY)
    def one_trial(self, pick: int, what: str, lost_reply: bool) -> None:  # noqa: FBT001
        trials = list(self.oracle.trials)
        trial = trials[pick % len(trials)]

        def act() -> None:
            if what == "stop":
                self.refusing(
                    lambda: self.oracle.stop_trial(trial), lambda: steering.stop_trial(self.ctx, trial.uid)
                )
            else:
                self.refusing(
                    lambda: self.oracle.retry(trial.study, [trial]),
                    lambda: steering.retry_trial(self.ctx, trial.uid),
                )

        self.twice(lost_reply, act)

    @precondition(lambda self: self.oracle.studies)
    @rule(pick=_PICK, point=st.integers(0, 5), lost_reply=_LOST_REPLY)
    def enqueue(self, pick: int, point: int, lost_reply: bool) -> None:  # noqa: FBT001
        study = self.study(pick)
        params: dict[str, Any] = {"learning_rate": 0.01, "dropout": 0.1}
        if study.grid_size is not None:
            layers, rate = _GRID_POINTS[point]
            params = {"layers": layers, "learning_rate": rate}
        self.n_keys += 1
        key, request = f"key {self.n_keys}", EnqueueRequest(params=params)
        index = self.grid_index(study, params)
        try:
            known = self.oracle.enqueue(study, index)
        except Refused:
            self.refusing(self._refuse, lambda: steering.enqueue(self.ctx, ADMIN, study.uid, request, idempotency_key=key))
            self.check()
            return
        uids = {
            steering.enqueue(self.ctx, ADMIN, study.uid, request, idempotency_key=key).trial_id
            for _ in range(1 + lost_reply)
        }
        assert len(uids) == 1, "the same key again gives the same trial"
        (uid,) = uids
        self.enqueued.add(uid)
        if known is None:
            self.oracle.created(study, uid, index).hurried = True
        else:
            assert uid == known.uid
        self.check()

    @staticmethod
    def _refuse() -> None:
        raise Refused

    def grid_index(self, study: Study, params: dict[str, Any]) -> int | None:
        if study.grid_size is None:
            return None
        return _GRID_POINTS.index((params["layers"], params["learning_rate"]))

    @precondition(lambda self: any(study.ended for study in self.oracle.studies))
    @rule(pick=_PICK)
    def delete(self, pick: int) -> None:
        study = self.study(pick)
        self.refusing(
            lambda: None if study.ended else self._refuse(), lambda: studies.delete(self.ctx, study.uid)
        )
        if study.ended:
            self.oracle.studies.remove(study)
            gone = {trial.uid for trial in study.trials}
            self.deleted |= gone
            self.journal = [entry for entry in self.journal if entry.trial_id not in gone]
        self.check()

    # Workers

    def claim_as(self, worker: Worker, claim_id: str, n: int) -> None:
        reply = claims.claim(self.ctx, ADMIN, self.ids[worker.name], ClaimRequest(claim_id=claim_id, max_trials=n))
        self.oracle.claim(worker, claim_id, n, {trial.trial_id: trial.attempt for trial in reply.trials})
        by_uid = {trial.uid: trial for trial in self.oracle.trials}
        for trial in reply.trials:
            handle = (worker, by_uid[trial.trial_id], trial.attempt)
            if handle not in self.handles:
                self.handles.append(handle)

    @rule(who=_PICK, n=st.integers(1, 3), lost_reply=_LOST_REPLY)
    def claim(self, who: int, n: int, lost_reply: bool) -> None:  # noqa: FBT001
        worker = self.oracle.workers[who % 3]
        claim_id = f"claim {len(self.claim_ids)}"
        self.claim_ids.append((worker, claim_id, n))
        self.twice(lost_reply, lambda: self.claim_as(worker, claim_id, n))

    @precondition(lambda self: self.claim_ids)
    @rule(pick=_PICK)
    def claim_again(self, pick: int) -> None:
        self.claim_as(*self.claim_ids[-1 - pick % len(self.claim_ids)])
        self.check()

    def report(self, worker: Worker, *entries: Entry) -> None:
        for entry in entries:
            if entry.uid in self.deleted:
                entry.trial = entry.uid
        expected = self.oracle.report(worker, entries)
        sent = tuple(
            TrialReport(trial_id=e.uid, attempt=e.attempt, measurements=e.measurements, outcome=e.outcome)
            for e in entries
        )
        reply = reports.report(self.ctx, ADMIN, self.ids[worker.name], ReportRequest(reports=sent))
        statuses = [result.status for result in reply.results]
        assert statuses == expected
        self.journal += [
            JournalEntry(status=status, **entry.model_dump())
            for entry, status in zip(sent, statuses, strict=True)
            if entry.trial_id not in self.deleted
        ]

    def handle(self, pick: int, *, running: bool) -> tuple[Worker, Trial, int] | None:
        found = [h for h in self.handles if not running or (h[1].state, h[1].attempt) == ("RUNNING", h[2])]
        return found[-1 - pick % len(found)] if found else None

    @precondition(lambda self: self.handles)
    @rule(pick=_PICK, how=_HOW, running=st.sampled_from([True, True, False]), with_epoch=st.booleans(), lost_reply=_LOST_REPLY)
    def finish(self, pick: int, how: str, running: bool, with_epoch: bool, lost_reply: bool) -> None:  # noqa: FBT001
        handle = self.handle(pick, running=running)
        if handle is None:
            return
        worker, trial, attempt = handle
        measurements = (epoch(trial.last_epoch + 1),) if with_epoch and trial.last_epoch < oracle.MAX_EPOCHS else ()
        self.twice(
            lost_reply,
            lambda: self.report(worker, Entry(trial, attempt, measurements, _OUTCOMES[how])),
        )

    @precondition(lambda self: self.handles)
    @rule(pick=_PICK)
    def finish_again(self, pick: int) -> None:
        worker, trial, attempt = self.handles[-1 - pick % len(self.handles)]
        ending = trial.endings.get(attempt)
        if ending is not None and ending.outcome is not None:
            self.report(worker, Entry(trial, attempt, (), ending.outcome))
            self.check()

    @precondition(lambda self: self.handles)
    @rule(
        pick=_PICK,
        running=st.sampled_from([True, True, False]),
        epochs=st.sampled_from(["none", "next", "two", "same", "other", "gap", "lower", "falling", "beyond"]),
        lost_reply=_LOST_REPLY,
    )
    def beat(self, pick: int, running: bool, epochs: str, lost_reply: bool) -> None:  # noqa: FBT001
        handle = self.handle(pick, running=running)
        if handle is None:
            return
        worker, trial, attempt = handle
        last = trial.last_epoch
        measurements = {
            "none": (),
            "next": (epoch(last + 1),),
            "two": (epoch(last + 1), epoch(last + 2)),
            "same": (epoch(max(1, last)),),
            "other": (epoch(max(1, last), 0.75),),
            "gap": (epoch(last + 2),),
            "lower": (epoch(max(1, last - 1)),),
            "falling": (epoch(2), epoch(1)),
            "beyond": (epoch(oracle.MAX_EPOCHS + 1),),
        }[epochs]
        self.twice(lost_reply, lambda: self.report(worker, Entry(trial, attempt, measurements)))

    @precondition(lambda self: self.handles)
    @rule(pick=_PICK, how=st.sampled_from([None, "good", "error"]), foreign=st.booleans(), guess=st.integers(0, 2))
    def intrude(self, pick: int, how: str | None, foreign: bool, guess: int) -> None:  # noqa: FBT001
        worker, trial, attempt = self.handles[-1 - pick % len(self.handles)]
        if foreign:
            worker = next(other for other in self.oracle.workers if other is not worker)
        self.report(worker, Entry(trial, attempt + guess, (), None if how is None else _OUTCOMES[how]))
        self.check()

    @precondition(lambda self: len(self.handles) > 1)
    @rule(first=_PICK, second=_PICK, hows=st.tuples(_HOW, _HOW))
    def pack(self, first: int, second: int, hows: tuple[str, str]) -> None:
        worker, *_ = self.handles[-1 - first % len(self.handles)]
        mine = [(trial, attempt) for who, trial, attempt in self.handles if who is worker]
        chosen = {mine[-1 - pick % len(mine)] for pick in (first, second)}
        if len({trial for trial, _ in chosen}) == len(chosen):
            ordered = sorted(chosen, key=lambda one: one[0].order)
            self.report(worker, *(Entry(t, a, (), _OUTCOMES[how]) for (t, a), how in zip(ordered, hows, strict=False)))
            self.check()

    # Time

    @rule(seconds=st.sampled_from([1, 8, 61, 61, 400]))
    def pass_time(self, seconds: float) -> None:
        self.place.pass_time(seconds)
        self.oracle.now += seconds

    @rule()
    def reap(self) -> None:
        assert reap(self.ctx) == self.oracle.reap()
        self.check()

    @rule(seconds=st.sampled_from([0, 30, 200]))
    def restart(self, seconds: float) -> None:
        self.place.outage(seconds)
        self.oracle.outage(seconds)
        self.check()


# One example where the seed of a failing run is given, for `HPSEARCH_TEST_SEED=…`.
SEED: Final = os.environ.get("HPSEARCH_TEST_SEED")
