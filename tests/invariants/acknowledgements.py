"""I4 and I11: what the server told its workers is what it holds."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.domain.trial import Outcome
from hpsearch.service.queue.attempt_end import digest_of
from tests.invariants.audit import AttemptFacts, TrialFacts
from tests.invariants.facts import Facts, Violation, name
from tests.invariants.journal import JournalEntry

_RESULTS = frozenset({"COMPLETE", "PRUNED", "INFEASIBLE"})


def nothing_acknowledged_is_lost(facts: Facts) -> Iterator[Violation]:
    """I4: every acknowledged completion and epoch is in the database, bit-equal; nothing refused is."""
    taken = {_mark(entry) for entry in facts.journal if entry.acknowledged and entry.outcome is not None}
    for entry in facts.journal:
        trial = facts.by_uid.get(entry.trial_id)
        if trial is None:
            if entry.acknowledged:
                yield Violation("I4", f"trial {entry.trial_id} is gone, though a report of it was acknowledged")
            continue
        for wrong in (*_ending(facts, trial, entry, taken), *_epochs(facts, trial, entry)):
            yield Violation("I4", f"{name(trial)}, attempt {entry.attempt}: {wrong}")


def _attempt(facts: Facts, trial: TrialFacts, number: int) -> AttemptFacts | None:
    return next((one for one in facts.attempts.get(trial.id, ()) if one.attempt == number), None)


def _mark(entry: JournalEntry) -> tuple[str, int, str]:
    return entry.trial_id, entry.attempt, "" if entry.outcome is None else digest_of(entry.outcome)


def _ending(facts: Facts, trial: TrialFacts, entry: JournalEntry, taken: set[tuple[str, int, str]]) -> Iterator[str]:
    if entry.outcome is None:
        return
    attempt = _attempt(facts, trial, entry.attempt)
    digest = digest_of(entry.outcome)
    kept = attempt is not None and attempt.outcome_digest == digest
    if entry.acknowledged and not kept:
        yield f"its {entry.outcome.state} was acknowledged, but the attempt does not hold it"
    elif not entry.acknowledged and kept and _mark(entry) not in taken:
        yield f"its {entry.outcome.state} was answered {entry.status}, but the attempt holds it"
    if not (entry.acknowledged and attempt is not None):
        return
    result = facts.results.get(trial.id)
    if attempt.state in _RESULTS:
        if result is None or result.attempt != entry.attempt or result.outcome_digest != digest:
            yield f"its {entry.outcome.state} was acknowledged, but it is not the result"
        elif not _same(entry.outcome, result.state, result.value, result.metrics):
            yield f"value or metrics differ from what was acknowledged: {result.value} of {result.state}"


def _same(outcome: Outcome, state: str, value: float | None, metrics: dict[str, float | None]) -> bool:
    wanted = outcome.value if state in ("COMPLETE", "PRUNED") else None
    return (state, value, metrics) == (outcome.state, wanted, dict(outcome.metrics))


def _epochs(facts: Facts, trial: TrialFacts, entry: JournalEntry) -> Iterator[str]:
    stored = facts.epochs.get(trial.id, {})
    # A repeated ending is answered before its epochs are looked at: they came with the first one.
    expected = entry.status == "accepted"
    for measurement in entry.measurements if expected else ():
        if stored.get((entry.attempt, measurement.epoch)) != dict(measurement.metrics):
            yield f"epoch {measurement.epoch} was acknowledged, but is not stored as it was reported"


def one_acknowledged_result_each(facts: Facts) -> Iterator[Violation]:
    """I11: no completion was acknowledged from an attempt that another one had superseded."""
    told: dict[str, dict[int, str]] = {}
    for entry in facts.journal:
        if entry.acknowledged and entry.outcome is not None and entry.outcome.state in _RESULTS:
            told.setdefault(entry.trial_id, {})[entry.attempt] = entry.outcome.state
    for uid, attempts in told.items():
        trial = facts.by_uid.get(uid)
        if trial is None:
            continue
        final = {
            number: state
            for number, state in attempts.items()
            if (attempt := _attempt(facts, trial, number)) is not None and attempt.state in _RESULTS
        }
        if len(final) > 1:
            yield Violation("I11", f"{name(trial)}: results of attempts {sorted(final)} were all acknowledged")
        result = facts.results.get(trial.id)
        for number in final:
            if result is not None and result.attempt != number:
                yield Violation(
                    "I11",
                    f"{name(trial)}: a result of attempt {number} was acknowledged, attempt {result.attempt} holds",
                )
