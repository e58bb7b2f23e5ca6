"""The queue as it should be: states, attempts and counters in plain Python, for the model test to compare with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from hpsearch.domain.trial import Outcome
from tests.queue_properties.expected import FINISHED, OPEN, Ending, Entry, Refused, Study, Trial, Worker

LEASE_S: Final = 60.0
REAPER_S: Final = 5.0
MAX_SILENCE_S: Final = 17.0
MAX_EPOCHS: Final = 5


@dataclass
class Oracle:
    """All studies and workers, and what each request should do and answer."""

    now: float = 0.0
    studies: list[Study] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    claims: dict[tuple[str, str], list[tuple[Trial, int]]] = field(default_factory=dict)
    n_created: int = 0
    # Whose last claim got nothing: while they wait, others may get fewer trials than they ask for.
    hungry: set[str] = field(default_factory=set)
    # Who has lost a trial in the present transaction: all that fall together are one failure of their worker.
    losers: set[str] = field(default_factory=set)

    @property
    def trials(self) -> Iterator[Trial]:
        return (trial for study in self.studies for trial in study.trials)

    def created(self, study: Study, uid: str, grid_index: int | None = None) -> Trial:
        """Note a trial that the service has made."""
        self.n_created += 1
        trial = Trial(uid, study, self.n_created, held=study.state == "PAUSED", grid_index=grid_index)
        study.trials.append(trial)
        return trial

    # Claims

    def claimable(self, worker: Worker) -> tuple[list[Trial], set[Trial]]:
        """Return the trials a worker may get, in order, and those of them that are surely not pausing."""
        may: list[Trial] = []
        must: set[Trial] = set()
        for trial in self.trials:
            avoided = LEASE_S if trial.avoid is worker else 0.0
            low, high = (bound + avoided for bound in trial.not_before)
            if trial.state == "WAITING" and not trial.held and low <= self.now:
                may.append(trial)
                if high <= self.now:
                    must.add(trial)
        return sorted(may, key=lambda trial: (not trial.hurried, trial.order)), must

    def claim(self, worker: Worker, claim_id: str, n: int, given: dict[str, int]) -> None:
        """Check the trials that a claim gave, by public id, with their attempts; and note them."""
        key = (worker.name, claim_id)
        if key in self.claims:
            current = {t.uid: a for t, a in self.claims[key] if (t.state, t.attempt) == ("RUNNING", a)}
            assert given == current, "the same claim again gives what is still its own"
            for trial, _ in self.claims[key]:
                if trial.uid in given:
                    trial.lease_end = self.now + LEASE_S
            return
        may, must = self.claimable(worker)
        if worker.until > self.now:
            may, must = [], set()
        assert set(given) <= {trial.uid for trial in may}, "given what nobody may have"
        assert len(given) <= n
        self.hungry.discard(worker.name)
        # How many an idle worker is still waiting for depends on real time; that it leaves one at least does not.
        enough = min(n, max(1, len(given))) if self.hungry else n
        if not given:
            self.hungry.add(worker.name)
        n_seen = 0
        for trial in may:
            n_seen += trial.uid in given
            assert trial.uid in given or trial not in must or n_seen == enough, "an earlier trial was passed over"
        for trial in may:
            if trial.uid in given:
                trial.state, trial.attempt, trial.worker = "RUNNING", trial.attempt + 1, worker
                trial.lease_end, trial.last_epoch = self.now + LEASE_S, 0
                assert given[trial.uid] == trial.attempt
        if given:
            self.claims[key] = [(trial, trial.attempt) for trial in may if trial.uid in given]

    # Reports

    def report(self, worker: Worker, entries: Iterable[Entry]) -> list[str]:
        """Return the status each report should get, after doing what it should do."""
        verdicts = [(entry, self._judge(worker, entry)) for entry in entries]
        ended: list[Study] = []
        self.losers.clear()
        for entry, status in verdicts:
            trial = entry.trial
            if status != "accepted" or isinstance(trial, str):
                continue
            if trial.state == "WAITING":  # taken back: nobody else has it
                trial.state, trial.held, trial.lost = "RUNNING", False, max(0, trial.lost - 1)
                del trial.endings[trial.attempt]
            trial.lease_end = self.now + LEASE_S
            for measurement in entry.measurements:
                trial.epochs[entry.attempt, measurement.epoch] = measurement.metrics
                trial.last_epoch = max(trial.last_epoch, measurement.epoch)
            if entry.outcome is not None:
                self._end(worker, trial, entry.outcome)
                ended.append(trial.study)
        for study in ended:
            study.advance(self.now)
        return [status for _, status in verdicts]

    def _judge(self, worker: Worker, entry: Entry) -> str:
        trial = entry.trial
        if isinstance(trial, str):
            return "not_found"
        current = entry.attempt == trial.attempt
        if current and trial.worker is not worker:
            return "forbidden"
        if current and (trial.state == "RUNNING" or trial.revivable):
            return self._judge_content(trial, entry)
        ending = trial.endings.get(entry.attempt)
        if ending is None or ending.worker is not worker or entry.outcome is None or ending.outcome is None:
            return "stale_attempt"
        if ending.outcome == entry.outcome:
            return "replayed"
        return "result_conflict" if current else "stale_attempt"

    def _judge_content(self, trial: Trial, entry: Entry) -> str:
        epochs = [measurement.epoch for measurement in entry.measurements]
        if epochs != sorted(set(epochs)) or any(epoch > MAX_EPOCHS for epoch in epochs):
            return "invalid"
        value = None if entry.outcome is None else entry.outcome.value
        if value is not None and not 0 <= value <= 1:
            return "invalid"
        if entry.outcome is not None and entry.outcome.state == "PRUNED":  # none of the studies has a pruner
            return "invalid"
        for measurement in entry.measurements:
            stored = trial.epochs.get((entry.attempt, measurement.epoch))
            if measurement.epoch <= trial.last_epoch and stored != measurement.metrics:
                return "result_conflict"
        return "accepted"

    def _end(self, worker: Worker, trial: Trial, outcome: Outcome) -> None:
        if outcome.state == "RELEASED":
            self._release(trial, outcome, "RELEASED")
            if outcome.cause in ("data_mismatch", "disk_full"):
                worker.quarantine(self.now, 60.0)
        elif outcome.cause in ("crashed", "stalled"):
            self.lose(trial, outcome)
        elif outcome.cause == "oom" and trial.ooms == 0:
            trial.ooms += 1
            self._release(trial, outcome, "RELEASED")
            trial.avoid = worker if trial.state == "WAITING" else trial.avoid
        else:
            self._finish(trial, outcome)

    def _release(self, trial: Trial, outcome: Outcome | None, state: str, *, wait: float = 0.0) -> None:
        if trial.study.gives_up:
            trial.study.cancel_trial(trial, outcome)
            return
        assert trial.worker is not None
        trial.endings[trial.attempt] = Ending(trial.worker, state, outcome, self.now)
        trial.back(self.now, wait=wait)

    def _finish(self, trial: Trial, outcome: Outcome | None, state: str | None = None) -> None:
        worker, study = trial.worker, trial.study
        assert worker is not None
        trial.state = state or (outcome.state if outcome else "FAILED")
        trial.endings[trial.attempt] = Ending(worker, trial.state, outcome)
        trial.value = outcome.value if outcome is not None and trial.state in ("COMPLETE", "PRUNED") else None
        if trial.state == "FAILED":
            if state is None:
                self._count_failure(worker)
            return
        worker.n_finished, worker.failures_in_row, worker.n_quarantines = worker.n_finished + 1, 0, 0
        worker.succeeded = self.now
        if trial.state == "COMPLETE" and (study.best is None or (trial.value or 0.0) > study.best):
            study.best = trial.value

    def lose(self, trial: Trial, outcome: Outcome | None) -> None:
        """An infrastructure failure; without an outcome it is a lapsed lease."""
        worker, lost = trial.worker, trial.lost + 1
        assert worker is not None
        if lost >= 5 and (self.to_blame(trial, worker) or (lost >= 10 and not self.others_succeed(worker))):
            trial.beyond_hope = True
            self._finish(trial, outcome, "FAILED")
        else:
            self._release(trial, outcome, "LOST", wait=min(600.0, REAPER_S * (2 ** (min(lost, 10) - 1) - 1)))
            trial.lost = lost if trial.state == "WAITING" else trial.lost
        if worker.name not in self.losers:
            self.losers.add(worker.name)
            self._count_failure(worker)

    def to_blame(self, trial: Trial, worker: Worker) -> bool:
        """Whether a trial is the reason for which it is lost: two lost it, or who loses it is fine with others."""
        lost = [ending for ending in trial.endings.values() if ending.state == "LOST"]
        losers = [worker, *(ending.worker for ending in lost)]
        # All have one token: names that never brought a trial to an end count as one.
        if len({loser.name if loser.succeeded is not None else "" for loser in losers}) > 1:
            return True
        if not lost:
            return True
        first = min(ending.at for ending in lost)
        if worker.succeeded is not None and worker.succeeded >= first:
            return True
        lost_another = any(
            (ending.worker is worker or worker.succeeded is None) and ending.state == "LOST" and ending.at >= first
            for other in self.trials
            if other is not trial
            for ending in other.endings.values()
        )
        return not self.others_succeed(worker) and not lost_another

    def others_succeed(self, worker: Worker) -> bool:
        """Whether another worker brings trials to an end at present."""
        lately = self.now - 600.0
        return any(
            w.succeeded is not None and w.succeeded >= lately and not w.failures_in_row
            for w in self.workers
            if w is not worker
        )

    def _count_failure(self, worker: Worker) -> None:
        worker.failures_in_row += 1
        if worker.failures_in_row >= 5 and self.others_succeed(worker):
            worker.quarantine(self.now, min(3600.0, 60.0 * 2**worker.n_quarantines))

    def reap(self) -> int:
        """Give up lapsed leases, study by study; return how many."""
        lapsed = [trial for trial in self.trials if trial.state == "RUNNING" and trial.lease_end < self.now]
        lapsed.sort(key=lambda trial: (trial.lease_end, trial.order))
        for study in dict.fromkeys(trial.study for trial in lapsed):
            self.losers.clear()
            for trial in sorted((one for one in lapsed if one.study is study), key=lambda one: one.order):
                self.lose(trial, None)
            study.advance(self.now)
        return len(lapsed)

    def outage(self, seconds: float) -> None:
        """All servers were away: leases, pauses and quarantines go on from where they were."""
        self.now += seconds
        if seconds <= MAX_SILENCE_S:
            return
        for worker in self.workers:
            worker.until += seconds if worker.until else 0.0
        for trial in self.trials:
            if trial.state == "RUNNING":
                trial.lease_end += seconds
            low, high = trial.not_before
            if trial.state == "WAITING":
                trial.not_before = (low + seconds, high + seconds)

    # Steering

    def steer(self, study: Study, verb: str) -> None:
        """Do what pause, resume, stop or cancel should do.

        Raises:
            Refused: The state does not allow it.
        """
        wanted = {"pause": "PAUSED", "resume": "RUNNING", "stop": "STOPPING", "cancel": "CANCELLED"}[verb]
        sources = {
            "pause": ("RUNNING",),
            "resume": ("PAUSED",),
            "stop": ("RUNNING", "PAUSED"),
            "cancel": ("RUNNING", "PAUSED", "STOPPING"),
        }[verb]
        if study.state == wanted:
            return
        if study.state not in sources:
            raise Refused
        study.state = wanted
        if verb in ("pause", "resume"):
            for trial in study.trials:
                trial.held = verb == "pause" if trial.state == "WAITING" else trial.held
        else:
            study.end_reason = "user"
            study.cancel_trials(*(OPEN if verb == "cancel" else ("WAITING",)))
        if verb in ("resume", "stop"):
            study.advance(self.now)

    def extend(self, study: Study, max_trials: int) -> None:
        """Raise the budget.

        Raises:
            Refused: The state or the number does not allow it.
        """
        most = study.grid_size or max_trials
        if study.state in ("CANCELLED", "STOPPING") or not study.max_trials < max_trials <= most:
            raise Refused
        study.max_trials = max_trials
        study.reopen()

    def retry(self, study: Study, trials: list[Trial]) -> None:
        """Put failed trials back.

        Raises:
            Refused: One has not failed, or the study takes none back.
        """
        if any(trial.state != "FAILED" for trial in trials) or study.state in ("CANCELLED", "STOPPING"):
            raise Refused
        if trials:
            study.reopen()
        for trial in trials:
            trial.back(0.0)
            trial.lost, trial.ooms, trial.avoid, trial.value, trial.beyond_hope = 0, 0, None, None, False

    def stop_trial(self, trial: Trial) -> None:
        """End one trial without a result.

        Raises:
            Refused: It has ended.
        """
        if trial.state not in OPEN:
            raise Refused
        trial.study.cancel_trial(trial)
        trial.study.advance(self.now)

    def enqueue(self, study: Study, grid_index: int | None) -> Trial | None:
        """Make room for a point and return its trial, now first in the queue; None when it is yet to be created.

        Raises:
            Refused: The study takes no points, all of its trials have begun, or this grid point has.
        """
        if study.state not in ("RUNNING", "PAUSED") or study.end_reason is not None:
            raise Refused
        known = next((t for t in study.trials if grid_index is not None and t.grid_index == grid_index), None)
        if known is not None:
            if known.state != "WAITING":
                raise Refused
            known.hurried = True
        elif study.n_creatable == 0:
            untouched = [t for t in study.trials if t.state == "WAITING" and t.attempt == 0]
            if not untouched or grid_index is not None:
                raise Refused
            study.cancel_trial(untouched[-1])
        return known

    def snapshot(self) -> dict[str, Any]:
        """Return all that should be stored, by public id, as `tests.queue_properties.place` reads it."""
        trials = {
            trial.uid: (
                trial.state, trial.attempt, trial.lost, trial.last_epoch, trial.value,
                trial.held if trial.state == "WAITING" else None,
            )
            for trial in self.trials
        }  # fmt: skip
        studies = {
            study.uid: (
                study.state, study.end_reason, study.max_trials, len(study.trials), study.n(*FINISHED),
                study.n("CANCELLED"), study.best,
            )
            for study in self.studies
        }  # fmt: skip
        return {**trials, **studies}
