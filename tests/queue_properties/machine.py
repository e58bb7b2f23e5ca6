"""The model test's machine: it makes requests in any order and holds every answer against the oracle."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import rule

from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.service.queue import claims, reports
from hpsearch.service.queue.reaper import reap
from hpsearch.wire.claims import ClaimRequest
from hpsearch.wire.reports import ReportRequest, TrialReport
from tests.invariants.journal import JournalEntry
from tests.queue_properties import oracle
from tests.queue_properties.expected import Entry, Trial, Worker
from tests.queue_properties.study_machine import LOST_REPLY, PICK, StudyMachine
from tests.service.fleet_stub import ADMIN

_WHICH: Final = st.sampled_from(["running", "running", "running", "lapsed", "any"])
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


class QueueMachine(StudyMachine):
    """Requests of studies, workers and time, each answered as the oracle says."""

    def claim_as(self, worker: Worker, claim_id: str, n: int) -> None:
        reply = claims.claim(self.ctx, ADMIN, self.ids[worker.name], ClaimRequest(claim_id=claim_id, max_trials=n))
        self.oracle.claim(worker, claim_id, n, {trial.trial_id: trial.attempt for trial in reply.trials})
        by_uid = {trial.uid: trial for trial in self.oracle.trials}
        for trial in reply.trials:
            handle = (worker, by_uid[trial.trial_id], trial.attempt)
            if handle not in self.handles:
                self.handles.append(handle)

    @rule(who=PICK, n=st.integers(1, 3), lost_reply=LOST_REPLY)
    def claim(self, who: int, n: int, lost_reply: bool) -> None:
        worker = self.oracle.workers[who % 3]
        claim_id = f"claim {len(self.claim_ids)}"
        self.claim_ids.append((worker, claim_id, n))
        self.twice(lost_reply, lambda: self.claim_as(worker, claim_id, n))

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

    def handle(self, pick: int, which: str) -> tuple[Worker, Trial, int] | None:
        """Return an attempt that somebody has or had; one that is running is claimed first where there is none."""

        def fits(handle: tuple[Worker, Trial, int]) -> bool:
            _, trial, attempt = handle
            current = trial.attempt == attempt
            return current and (trial.revivable if which == "lapsed" else trial.state == "RUNNING")

        found = [handle for handle in self.handles if fits(handle)]
        if not found and which == "running":
            self.claim(who=pick, n=1 + pick % 3, lost_reply=False)
            found = [handle for handle in self.handles if fits(handle)]
        found = found or self.handles
        return found[-1 - pick % len(found)] if found else None

    @rule(
        pick=PICK,
        how=_HOW,
        which=_WHICH,
        with_epoch=st.booleans(),
        lost_reply=LOST_REPLY,
    )
    def finish(self, pick: int, how: str, which: str, with_epoch: bool, lost_reply: bool) -> None:
        handle = self.handle(pick, which)
        if handle is None:
            return
        worker, trial, attempt = handle
        measurements = (epoch(trial.last_epoch + 1),) if with_epoch and trial.last_epoch < oracle.MAX_EPOCHS else ()
        self.twice(
            lost_reply,
            lambda: self.report(worker, Entry(trial, attempt, measurements, _OUTCOMES[how])),
        )

    @rule(
        pick=PICK,
        which=_WHICH,
        epochs=st.sampled_from(["none", "next", "two", "same", "other", "gap", "lower", "falling", "beyond"]),
        lost_reply=LOST_REPLY,
    )
    def beat(self, pick: int, which: str, epochs: str, lost_reply: bool) -> None:
        handle = self.handle(pick, which)
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

    @rule(
        what=st.sampled_from(["claim again", "end again", "foreign", "guess", "pack"]),
        pick=PICK,
        other=PICK,
        how=_HOW,
    )
    def trouble(self, what: str, pick: int, other: int, how: str) -> None:
        handle = self.handle(pick, "any")
        if handle is None:
            return
        worker, trial, attempt = handle
        ending = trial.endings.get(attempt)
        outcome = None if other % 3 == 0 else _OUTCOMES[how]
        if what == "claim again":
            self.claim_as(*self.claim_ids[-1 - pick % len(self.claim_ids)])
        elif what == "end again" and ending is not None and ending.outcome is not None:
            self.report(worker, Entry(trial, attempt, (), ending.outcome))
        elif what == "foreign":
            stranger = next(one for one in self.oracle.workers if one is not worker)
            self.report(stranger, Entry(trial, attempt, (), outcome))
        elif what == "guess":
            self.report(worker, Entry(trial, attempt + 1 + other % 2, (), outcome))
        elif what == "pack":
            mine = {t: a for who, t, a in self.handles if who is worker}
            partner = list(mine)[other % len(mine)]
            pair = {trial: attempt, partner: mine[partner]} if partner is not trial else {trial: attempt}
            ordered = sorted(pair, key=lambda one: one.order)
            self.report(worker, *(Entry(t, pair[t], (), _OUTCOMES[how]) for t in ordered))
        self.check()

    # Time

    @rule(
        what=st.sampled_from(["pass", "look", "look", "look", "restart"]), seconds=st.sampled_from([0, 8, 61, 61, 200])
    )
    def wait(self, what: str, seconds: float) -> None:
        """Let time pass: with nobody looking, with a reaper and a filler, or with all servers away."""
        if what == "restart":
            self.place.outage(seconds)
            self.oracle.outage(seconds)
        else:
            self.place.pass_time(seconds)
            self.oracle.now += seconds
        if what == "look":
            assert reap(self.ctx) == self.oracle.reap()
            for study in self.oracle.studies:
                self.refill(study)
        self.check()
