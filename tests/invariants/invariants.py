"""What must hold of every database, whatever was killed: the promises of docs/lifecycle.md as functions over a store.

I1  each search trial is created once and counted once; a search that ended by its budget finished exactly that many,
    and is a success only with a result
I2  each grid point is at most one trial, and a whole grid's points are all there
I3  a finished trial has one result, from its accepted attempt; any other trial has none
I4  every acknowledged completion and epoch is stored as it was acknowledged
I5  every stored value is the objective of its parameters, where the objective is known
I6  attempts are numbered from 1 without gaps
I7  epochs are within the cap, and none came after an attempt's end
I8  only moves of the transition tables happened
I9  no trial has two open attempts, and every running one has a lease that can lapse
I10 nothing of an ended study is open
I11 no acknowledged completion is from a superseded attempt
I12 the best trial is the best, and every number is finite
I13 parameters and seeds follow from the study's seed alone
I14 the database finds no fault with itself
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from hpsearch.domain.lifecycle import BY_LIMIT, FINISHED, OPEN, STUDY_FINAL, EndReason, StudyState, TrialState
from hpsearch.domain.trial import Params
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Store
from tests.invariants.acknowledgements import nothing_acknowledged_is_lost, one_acknowledged_result_each
from tests.invariants.audit import TrialFacts
from tests.invariants.facts import Facts, Violation, gather, name
from tests.invariants.histories import only_known_moves
from tests.invariants.journal import JournalEntry
from tests.invariants.numbers import best_is_best, numbers_are_finite
from tests.invariants.points import grid_points_once, points_follow_from_the_seed

__all__ = ["Violation", "check"]

_BY_BUDGET: Final = (EndReason.MAX_TRIALS, EndReason.SPACE_EXHAUSTED)
_COUNTERS: Final = {
    "n_complete": TrialState.COMPLETE,
    "n_pruned": TrialState.PRUNED,
    "n_infeasible": TrialState.INFEASIBLE,
    "n_failed": TrialState.FAILED,
    "n_cancelled": TrialState.CANCELLED,
}


def check(
    store: Store,
    *,
    journal: Iterable[JournalEntry] = (),
    objective: Callable[[Params], float] | None = None,
    all_ended: bool = False,
) -> list[Violation]:
    """Return every broken invariant, read in one transaction; the list is empty when all hold.

    Args:
        store: The database.
        journal: What workers were told, for I4 and I11.
        objective: The exact value of a trial, for I5.
        all_ended: Every study must have ended, for I10.
    """
    facts = gather(store, journal)
    found = [
        *created_and_finished(facts),
        *grid_points_once(facts),
        *one_result_each(facts),
        *nothing_acknowledged_is_lost(facts),
        *(values_are_exact(facts, objective) if objective is not None else ()),
        *attempts_without_gaps(facts),
        *epochs_within_attempts(facts),
        *only_known_moves(facts),
        *one_open_attempt(facts),
        *nothing_left_open(facts, all_ended=all_ended),
        *one_acknowledged_result_each(facts),
        *best_is_best(facts),
        *numbers_are_finite(facts),
        *points_follow_from_the_seed(facts),
        *(Violation("I14", fault) for fault in facts.faults),
    ]
    return sorted(found, key=lambda violation: int(violation.invariant[1:]))


def created_and_finished(facts: Facts) -> Iterator[Violation]:
    """I1: created, finished and counted exactly as the budget says."""
    for study in facts.studies.values():
        mine = facts.of_study.get(study.id, [])
        for wrong in (*_counters(study, mine), *_budget(study, mine)):
            yield Violation("I1", f"study {study.id}: {wrong}")


def _counters(study: StudyRecord, mine: list[TrialFacts]) -> Iterator[str]:
    search = [trial for trial in mine if trial.kind == "search"]
    states = Counter(trial.state for trial in mine)
    searched = Counter(trial.state for trial in search)
    counted = {
        "n_numbers": len(mine),
        "n_search": len(search),
        "n_search_finished": sum(searched[state] for state in FINISHED),
        "n_search_failed": searched[TrialState.FAILED],
        "n_search_lost": sum((t.state, t.cause) == (TrialState.FAILED, "lost_repeatedly") for t in search),
        "n_search_cancelled": searched[TrialState.CANCELLED],
        **{counter: states[state] for counter, state in _COUNTERS.items()},
    }
    for counter, n in counted.items():
        if getattr(study, counter) != n:
            yield f"{counter} is {getattr(study, counter)}, there are {n}"
    if sorted(trial.number for trial in mine) != list(range(len(mine))):
        yield "its trials are not numbered from 0 without gaps"
    if sorted(trial.search_index or 0 for trial in search) != list(range(len(search))):
        yield "its search trials are not numbered from 0 without gaps"
    paid = math.fsum(trial.device_seconds for trial in mine)
    if not math.isclose(paid, study.device_seconds, rel_tol=1e-6, abs_tol=1e-6):
        yield f"device_seconds is {study.device_seconds}, its trials used {paid}"


def _budget(study: StudyRecord, mine: list[TrialFacts]) -> Iterator[str]:
    search = Counter(trial.state for trial in mine if trial.kind == "search")
    is_grid = study.resolved.get("grid_size") is not None
    cancelled = search[TrialState.CANCELLED]
    most = study.max_trials + (0 if is_grid else cancelled)
    if search.total() > most:
        yield f"{search.total()} search trials were created, at most {most} may be"
    has_result = search[TrialState.COMPLETE] > 0
    if study.state == StudyState.COMPLETED and study.end_reason in BY_LIMIT and not has_result:
        yield f"it is COMPLETED by {study.end_reason}, and no search trial has a result"
    if study.end_reason == EndReason.NO_RESULT and (has_result or study.state != StudyState.FAILED):
        yield f"it is {study.state} by no_result, and {search[TrialState.COMPLETE]} search trials have a result"
    limits = study.definition["budget"]
    is_timed = any(limits.get(limit) is not None for limit in ("wall_time_s", "device_seconds"))
    by_budget = study.state == StudyState.COMPLETED and study.end_reason in _BY_BUDGET
    if by_budget or (study.end_reason == EndReason.NO_RESULT and not is_timed):
        finished = sum(search[state] for state in FINISHED)
        wanted = study.max_trials - (cancelled if is_grid else 0)
        if finished != wanted or search.total() != finished + cancelled:
            yield f"it ended with {finished} of {wanted} search trials finished, {search.total()} created"


def one_result_each(facts: Facts) -> Iterator[Violation]:
    """I3: a finished trial has one result, of its last attempt; any other trial has none."""
    for trial in facts.trials.values():
        for wrong in _result(facts, trial):
            yield Violation("I3", f"{name(trial)}: {wrong}")


def _result(facts: Facts, trial: TrialFacts) -> Iterator[str]:
    result = facts.results.get(trial.id)
    attempts = facts.attempts.get(trial.id, [])
    if (result is not None) != (trial.state in FINISHED):
        yield f"it is {trial.state} and has {'a' if result else 'no'} result"
    if result is not None:
        if (result.attempt, result.state, result.value) != (trial.attempt, trial.state, trial.value):
            yield (
                f"it is {trial.state} with {trial.value} at attempt {trial.attempt}, its result says "
                f"{result.state} with {result.value} at attempt {result.attempt}"
            )
        accepted = [one for one in attempts if one.attempt == result.attempt]
        if [(one.state, one.outcome_digest) for one in accepted] != [(result.state, result.outcome_digest)]:
            yield f"attempt {result.attempt} did not end with its result"
    endings = Counter(one.state for one in attempts)
    n_results = sum(endings[state] for state in FINISHED) - (trial.state in FINISHED)
    if n_results != facts.n_retries(trial) or n_results > endings[TrialState.FAILED]:
        yield f"{n_results} earlier attempts ended with a result, it was retried {facts.n_retries(trial)} times"


def values_are_exact(facts: Facts, objective: Callable[[Params], float]) -> Iterator[Violation]:
    """I5: every stored value is the objective of the trial's parameters."""
    for trial in facts.trials.values():
        result = facts.results.get(trial.id)
        if result is not None and result.state == TrialState.COMPLETE and result.value != objective(trial.params):
            yield Violation("I5", f"{name(trial)}: value {result.value}, its parameters give {objective(trial.params)}")


def attempts_without_gaps(facts: Facts) -> Iterator[Violation]:
    """I6: attempts are numbered 1 to the trial's present one."""
    for trial in facts.trials.values():
        numbers = [one.attempt for one in facts.attempts.get(trial.id, ())]
        if numbers != list(range(1, trial.attempt + 1)):
            yield Violation("I6", f"{name(trial)}: attempts {numbers} at attempt {trial.attempt}")


def epochs_within_attempts(facts: Facts) -> Iterator[Violation]:
    """I7: epochs belong to attempts, keep within the cap, and none came after an attempt's end."""
    for (trial_id, number), span in facts.spans.items():
        trial = facts.trials[trial_id]
        definition = facts.studies[trial.study_id].definition
        cap = definition["training"]["max_epochs"] * ((definition["split"].get("folds") or 0) + 1)
        if number > trial.attempt:
            yield Violation("I7", f"{name(trial)}: epochs of attempt {number}, which never was")
        if span.first < 1 or span.last > cap:
            yield Violation("I7", f"{name(trial)}: epochs {span.first} to {span.last} of 1 to {cap}")
    for trial in facts.trials.values():
        present = facts.spans.get((trial.id, trial.attempt))
        last = 0 if present is None else present.last
        if last != trial.last_epoch:
            yield Violation("I7", f"{name(trial)}: epoch {last} is stored, {trial.last_epoch} was accepted")


def one_open_attempt(facts: Facts) -> Iterator[Violation]:
    """I9: the one open attempt of a running trial is its present one, under a lease; no other is open."""
    for trial in facts.trials.values():
        running = trial.state == TrialState.RUNNING
        attempts = facts.attempts.get(trial.id, ())
        open_now = [(one.attempt, one.worker_id) for one in attempts if one.ended_at is None or one.state is None]
        if open_now != ([(trial.attempt, trial.worker_id)] if running else []):
            yield Violation("I9", f"{name(trial)}: it is {trial.state}, open attempts are {open_now}")
        if running != (trial.lease_expires_at is not None):
            yield Violation("I9", f"{name(trial)}: it is {trial.state}, its lease ends at {trial.lease_expires_at}")


def nothing_left_open(facts: Facts, *, all_ended: bool) -> Iterator[Violation]:
    """I10: nothing of an ended study is open; with ``all_ended`` every study has ended."""
    for study in facts.studies.values():
        ended = study.state in STUDY_FINAL
        if ended != (study.ended_at is not None) or ended != (study.phase == "ended"):
            yield Violation("I10", f"study {study.id} is {study.state} in phase {study.phase}, ended {study.ended_at}")
        if all_ended and not ended:
            yield Violation("I10", f"study {study.id} is still {study.state}")
        n_open = sum(trial.state in OPEN for trial in facts.of_study.get(study.id, ()))
        if ended and n_open:
            yield Violation("I10", f"study {study.id} is {study.state} with {n_open} open trials")
