"""I8: the event log, played back over the transition tables, leads to what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hpsearch.domain.lifecycle import (
    MAX_INFRA_ATTEMPTS,
    MOVES,
    STUDY_MOVES,
    StudyEvent,
    StudyState,
    TrialEvent,
    TrialState,
)
from hpsearch.storage.records import StudyRecord
from tests.invariants.audit import EventFacts, TrialFacts
from tests.invariants.facts import Facts, Violation, name

_TRIAL: Final = {
    "trial.claimed": TrialEvent.CLAIM,
    "trial.lost": TrialEvent.LOSE,
    "trial.out_of_memory": TrialEvent.LOSE,
    "trial.released": TrialEvent.RELEASE,
    "trial.revived": TrialEvent.REVIVE,
    "trial.complete": TrialEvent.COMPLETE,
    "trial.pruned": TrialEvent.PRUNE,
    "trial.infeasible": TrialEvent.REJECT,
    "trial.failed": TrialEvent.FAIL,
    "trial.cancelled": TrialEvent.CANCEL,
    "trial.retried": TrialEvent.RETRY,
}
_STUDY: Final = {
    "study.paused": StudyEvent.PAUSE,
    "study.resumed": StudyEvent.RESUME,
    "study.stopping": StudyEvent.STOP,
    "study.cancelled": StudyEvent.CANCEL,
    "study.completed": StudyEvent.FINISH,
    "study.failed": StudyEvent.FAIL,
    "study.reopened": StudyEvent.REOPEN,
}


@dataclass
class _Played:
    """A trial as its events so far have left it."""

    state: TrialState = TrialState.WAITING
    attempt: int = 0
    n_lost: int = 0
    given_up: bool = False

    def happen(self, event: EventFacts) -> str | None:
        """Apply one event; return what was wrong with it."""
        cause = _TRIAL[event.kind]
        after = MOVES.get((self.state, cause))
        if after is None:
            return f"{event.kind} happened to it while it was {self.state}"
        if cause is TrialEvent.CLAIM:
            self.attempt += 1
        attempt = event.data.get("attempt", self.attempt)
        wrong = None if attempt == self.attempt else f"{event.kind} speaks of attempt {attempt} during {self.attempt}"
        wrong = wrong or self._count(event, cause)
        self.state = after
        # Only a lease that lapsed can be taken back; a loss that was reported can not.
        self.given_up = cause is TrialEvent.LOSE and event.data.get("cause") == "lost"
        return wrong

    def _count(self, event: EventFacts, cause: TrialEvent) -> str | None:
        wrong = None
        if cause is TrialEvent.REVIVE:
            wrong = None if self.given_up else "it was revived although no lease of it had lapsed"
            self.n_lost = max(0, self.n_lost - 1)
        elif event.kind == "trial.lost":
            # How often it may go back depends on who lost it, and on what else they lost: the model test knows.
            self.n_lost += 1
        elif event.data.get("cause") == "lost_repeatedly":
            if self.n_lost + 1 < MAX_INFRA_ATTEMPTS:
                wrong = f"it was failed as lost repeatedly after {self.n_lost + 1} lost attempts"
        elif cause is TrialEvent.RETRY:
            self.n_lost = 0
        return wrong


def _play_trial(trial: TrialFacts, events: Sequence[EventFacts]) -> Iterator[str]:
    if not events or events[0].kind != "trial.created":
        yield "the event log does not begin with its creation"
        return
    played = _Played()
    for event in events[1:]:
        if event.kind == "trial.created":
            yield "it was created twice"
        elif event.kind in _TRIAL:
            wrong = played.happen(event)
            if wrong is not None:
                yield wrong
    stored = (trial.state, trial.attempt, trial.infra_attempts)
    told = (played.state.value, played.attempt, played.n_lost)
    if stored != told:
        yield f"(state, attempt, lost attempts) are {stored}, by the event log {told}"


def _play_study(study: StudyRecord, events: Sequence[EventFacts]) -> Iterator[str]:
    if not events or events[0].kind != "study.created":
        yield "the event log does not begin with its creation"
        return
    state = StudyState.RUNNING
    for event in events[1:]:
        cause = _STUDY.get(event.kind)
        if cause is None:
            continue
        after = STUDY_MOVES.get((state, cause))
        if after is None:
            yield f"{event.kind} happened to it while it was {state}"
            return
        state = after
    if study.state != state:
        yield f"it is {study.state}, by the event log {state}"


def only_known_moves(facts: Facts) -> Iterator[Violation]:
    """I8: every change of state is an arrow of the transition table, and the log tells every change."""
    for trial in facts.trials.values():
        for wrong in _play_trial(trial, facts.trial_events.get(trial.uid, ())):
            yield Violation("I8", f"{name(trial)}: {wrong}")
    for study in facts.studies.values():
        for wrong in _play_study(study, facts.study_events.get(study.id, ())):
            yield Violation("I8", f"study {study.id}: {wrong}")
