"""The part of the model test that creates, steers and ends studies, and compares what is stored with the oracle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from hpsearch.errors import ConflictError, InvalidStudyError
from hpsearch.service.fleet import workers
from hpsearch.service.queue.filling import fill
from hpsearch.service.results import trials as results
from hpsearch.service.studies import crud, steering
from hpsearch.wire.studies import EnqueueRequest, ExtendRequest
from hpsearch.wire.workers import RegisterRequest
from tests.invariants import invariants
from tests.invariants.journal import JournalEntry
from tests.queue_properties.expected import Refused, Study, Trial, Worker
from tests.queue_properties.oracle import Oracle
from tests.queue_properties.place import Place
from tests.service.fleet_stub import ADMIN, definition, grid

PICK: Final = st.integers(0, 99)
LOST_REPLY: Final = st.sampled_from([False, False, False, True])
_GRID_POINTS: Final = [(layers, rate) for layers in (1, 2) for rate in (1e-3, 1e-2, 1e-1)]
_KINDS: Final = ("random", "part", "whole")
_BUDGETS: Final = st.sampled_from([{}, {"max_failed": 2}, {"target": 0.9}, {"wall_time_s": 200}])
_VERBS: Final = ("pause", "resume", "stop", "cancel", "extend", "retry failed", "retry trial", "stop trial")
_MANAGED: Final = st.sampled_from(["make", "make", "fill", "fill", "enqueue", "delete", "resume", *_VERBS])


class StudyMachine(RuleBasedStateMachine):
    """What people do to studies and their trials, each time answered as the oracle says."""

    place: ClassVar[Place]

    def __init__(self) -> None:
        super().__init__()
        self.place.empty()
        self.oracle = Oracle()
        self.ids: dict[str, str] = {}
        self.handles: list[tuple[Worker, Trial, int]] = []
        self.claim_ids: list[tuple[Worker, str, int]] = []
        self.journal: list[JournalEntry] = []
        self.deleted: set[str] = set()
        self.n_keys = self.n_checks = 0
        self.sound = True

    @property
    def ctx(self) -> Any:
        return self.place.ctx

    def check(self) -> None:
        """Compare what is stored with the oracle, and now and then all of it with the invariants."""
        self.sound = False
        assert self.place.snapshot() == self.oracle.snapshot()
        self.n_checks += 1
        if self.n_checks % 4 == 0:
            self.look_closely()
        self.sound = True

    def teardown(self) -> None:
        if self.sound:
            self.look_closely()

    def look_closely(self) -> None:
        broken = invariants.check(self.ctx.store, journal=self.journal)
        assert broken == [], "\n".join(map(str, broken))

    def twice(self, lost_reply: bool, act: Callable[[], None]) -> None:
        """Act, and once more where the reply was lost: a caller that heard nothing repeats itself."""
        act()
        if lost_reply:
            act()
        self.check()

    @initialize()
    def begin(self) -> None:
        for name in ("a", "b", "c"):
            self.ids[name] = workers.register(self.ctx, ADMIN, RegisterRequest(name=name)).worker_id
            self.oracle.workers.append(Worker(name))
        self.make(0, {}, lost_reply=False)

    @rule(what=_MANAGED, pick=PICK, number=st.integers(0, 11), budget=_BUDGETS, lost_reply=LOST_REPLY)
    def manage(self, what: str, pick: int, number: int, budget: dict[str, Any], lost_reply: bool) -> None:
        """Do one of the things that people do; what they do with the queue stands in rules of its own."""
        if what == "make" or not self.oracle.studies:
            if len(self.oracle.studies) < 3:
                self.make(number, budget, lost_reply=lost_reply)
            return
        study = self.oracle.studies[pick % len(self.oracle.studies)]
        if what == "fill":
            self.refill(study)
        elif what == "enqueue":
            self.enqueue(study, number % 6, n_times=1 + lost_reply)
        elif what == "delete":
            self.delete(study)
        else:
            act = partial(self.steer, study, what, number)
            act()
            if lost_reply:
                act()
        self.check()

    def make(self, number: int, budget: dict[str, Any], *, lost_reply: bool) -> None:
        """Create a study: a random one, a part of a grid, or a whole one, with few or many trials open at once."""
        kind, limit = _KINDS[number % 3], (None, None, 2, 1)[number // 3]
        max_trials = {"random": 8 - number // 2, "part": 5 - number // 4, "whole": 6}[kind]
        plain: dict[str, Any] = {"budget": budget if kind == "whole" else {"max_trials": max_trials, **budget}}
        plain |= {} if limit is None else {"parallelism": limit}
        if kind != "random":
            plain["space"] = {"layers": {"values": [1, 2]}, "units": 8, "learning_rate": {"values": [1e-3, 1e-2, 1e-1]}}
        asked = grid(**plain) if kind != "random" else definition(**plain)
        self.n_keys += 1
        made = {
            crud.create(self.ctx, ADMIN, asked, idempotency_key=f"key {self.n_keys}").study_id
            for _ in range(1 + lost_reply)
        }
        assert len(made) == 1, "the same key again gives the same study"
        study = Study(
            uid=made.pop(),
            created_at=self.oracle.now,
            max_trials=max_trials,
            asked=kind != "whole",
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

    def refill(self, study: Study) -> None:
        """Create what the study needs now."""
        n = study.n_to_fill
        with self.ctx.store.read() as tx:
            study_id = tx.studies.get(study.uid).id
        assert fill(self.ctx, study_id) == n
        self.expect_new(study, n)

    def refusing(self, expected: Callable[[], object], act: Callable[[], object]) -> None:
        """Act, and see the service refuse exactly what the oracle refuses."""
        try:
            expected()
        except Refused:
            try:
                act()
            except (ConflictError, InvalidStudyError):
                return
            pytest.fail("it should have been refused")
        act()

    def steer(self, study: Study, what: str, number: int) -> None:
        """Pause, resume, stop, cancel, extend or retry a study, or stop or retry one of its trials."""
        uid, failed = study.uid, [trial for trial in study.trials if trial.state == "FAILED"]
        trial = study.trials[number % len(study.trials)]
        more = study.max_trials + number % 4
        pairs: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "extend": (
                partial(self.oracle.extend, study, more),
                partial(steering.extend, self.ctx, uid, ExtendRequest(max_trials=max(1, more))),
            ),
            "retry failed": (
                partial(self.oracle.retry, study, failed),
                lambda: self.same(steering.retry_failed(self.ctx, uid).n_retried, len(failed)),
            ),
            "retry trial": (
                partial(self.oracle.retry, study, [trial]),
                partial(steering.retry_trial, self.ctx, trial.uid),
            ),
            "stop trial": (
                partial(self.oracle.stop_trial, trial),
                partial(steering.stop_trial, self.ctx, trial.uid),
            ),
        }
        verb = getattr(steering, what, None)
        plain = (partial(self.oracle.steer, study, what), lambda: verb and verb(self.ctx, uid))
        self.refusing(*pairs.get(what, plain))

    @staticmethod
    def same(received: object, expected: object) -> None:
        assert received == expected

    def enqueue(self, study: Study, point: int, *, n_times: int) -> None:
        """Ask for a point, as often as the reply is lost and once more."""
        params: dict[str, Any] = {"learning_rate": 0.01, "dropout": 0.1}
        if study.grid_size is not None:
            params = dict(zip(("layers", "learning_rate"), _GRID_POINTS[point], strict=True))
        self.n_keys += 1
        request = EnqueueRequest(params=params)
        act = partial(steering.enqueue, self.ctx, ADMIN, study.uid, request, idempotency_key=f"key {self.n_keys}")
        index = None if study.grid_size is None else point
        try:
            known = self.oracle.enqueue(study, index)
        except Refused:
            self.refusing(self._refuse, act)
            return
        (uid,) = {act().trial_id for _ in range(n_times)}
        if known is None:
            known = self.oracle.created(study, uid, index)
            known.hurried = True
        assert uid == known.uid

    @staticmethod
    def _refuse() -> None:
        raise Refused

    def delete(self, study: Study) -> None:
        """Delete a study that has ended; its trials are unknown from then on."""
        self.refusing(lambda: study.ended or self._refuse(), partial(crud.delete, self.ctx, study.uid))
        if study.ended:
            self.oracle.studies.remove(study)
            gone = {trial.uid for trial in study.trials}
            self.deleted |= gone
            # A claim that gave nothing but its trials is unknown, too: claimed again, it is a new one.
            claims = self.oracle.claims
            for key in [key for key, trials in claims.items() if trials and all(t.uid in gone for t, _ in trials)]:
                del claims[key]
            self.journal = [entry for entry in self.journal if entry.trial_id not in gone]
