"""What a database holds at one instant, arranged for checking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Store
from tests.invariants.audit import AttemptFacts, Audit, EventFacts, ResultFacts, Span, TrialFacts
from tests.invariants.journal import JournalEntry


@dataclass(frozen=True)
class Violation:
    """A promise that was not kept.

    Attributes:
        invariant: `I1` to `I14`, as in docs/proofs.md.
        sentence: What is wrong with which row.
    """

    invariant: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.sentence}"


@dataclass
class Facts:
    """All rows of one instant.

    Attributes:
        studies: By internal id.
        trials: By internal id.
        of_study: Trials of each study, in order of creation.
        attempts: Of each trial, the first first.
        results: By trial.
        spans: Epochs kept, by (trial, attempt).
        trial_events: By the trial's public id, in order.
        study_events: Of the study itself, by internal id, in order.
        epochs: Metrics by (attempt, epoch), of the trials of the journal.
        faults: What the database complains about.
        journal: What the workers were told.
    """

    studies: dict[int, StudyRecord]
    trials: dict[int, TrialFacts]
    of_study: dict[int, list[TrialFacts]]
    attempts: dict[int, list[AttemptFacts]]
    results: dict[int, ResultFacts]
    spans: dict[tuple[int, int], Span]
    trial_events: dict[str, list[EventFacts]]
    study_events: dict[int, list[EventFacts]]
    epochs: dict[int, dict[tuple[int, int], dict[str, float | None]]]
    faults: list[str]
    journal: list[JournalEntry]
    by_uid: dict[str, TrialFacts] = field(init=False)

    def __post_init__(self) -> None:
        self.by_uid = {trial.uid: trial for trial in self.trials.values()}

    def n_retries(self, trial: TrialFacts) -> int:
        """Return how often a person asked for a failed trial again."""
        return sum(event.kind == "trial.retried" for event in self.trial_events.get(trial.uid, ()))


def name(trial: TrialFacts) -> str:
    """Return how a violation speaks of a trial."""
    return f"trial {trial.number} of study {trial.study_id} ({trial.uid})"


def gather(store: Store, journal: Iterable[JournalEntry] = ()) -> Facts:
    """Return all that the database holds, read in one transaction."""
    entries = list(journal)
    with store.read() as tx:
        audit = Audit(tx.connection)
        trials = {trial.id: trial for trial in audit.trials()}
        of_study: dict[int, list[TrialFacts]] = defaultdict(list)
        for trial in trials.values():
            of_study[trial.study_id].append(trial)
        attempts: dict[int, list[AttemptFacts]] = defaultdict(list)
        for attempt in audit.attempts():
            attempts[attempt.trial_id].append(attempt)
        trial_events: dict[str, list[EventFacts]] = defaultdict(list)
        study_events: dict[int, list[EventFacts]] = defaultdict(list)
        for event in audit.events():
            if event.trial_uid is not None:
                trial_events[event.trial_uid].append(event)
            elif event.study_id is not None:
                study_events[event.study_id].append(event)
        reported = {entry.trial_id for entry in entries if entry.measurements}
        return Facts(
            studies={study.id: study for study in audit.studies()},
            trials=trials,
            of_study=of_study,
            attempts=attempts,
            results={result.trial_id: result for result in audit.results()},
            spans={(span.trial_id, span.attempt): span for span in audit.spans()},
            trial_events=trial_events,
            study_events=study_events,
            epochs={trial.id: audit.epochs(trial.id) for trial in trials.values() if trial.uid in reported},
            faults=audit.faults(),
            journal=entries,
        )
