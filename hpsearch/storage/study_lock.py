"""A study whose row a transaction holds: the only way to what two transactions must not do to it at once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, select

from hpsearch.domain.lifecycle import EndReason, StudyEvent
from hpsearch.storage.lease_clock import LeaseClock
from hpsearch.storage.open_trials import OpenTrials
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.study_row import StudyRow
from hpsearch.storage.tables import event, study, trial
from hpsearch.storage.transitions import TrialTransitions


class LockedStudy:
    """A study, locked until the transaction ends. `StudyRepository.lock` and its like make it, nothing else does.

    What takes one as an argument needs the lock, and the type says so. A move of its own returns whether the study was
    in a state that allows it.

    Attributes:
        trials: What happens to its trials.
        open: Its waiting and running trials.
    """

    def __init__(self, connection: Connection, record: StudyRecord, *, at: datetime, lease_clock: LeaseClock) -> None:
        self._connection = connection
        self._at = at
        self._row = StudyRow(connection, record)
        self.trials = TrialTransitions(connection, self._row, at=at, lease_clock=lease_clock)
        self.open = OpenTrials(connection, record.id, lease_clock=lease_clock)

    @property
    def record(self) -> StudyRecord:
        """The study as it is now, with all that this transaction changed."""
        return self._row.record

    @property
    def id(self) -> int:
        """Internal id."""
        return self._row.record.id

    @property
    def uid(self) -> str:
        """Public id."""
        return self._row.record.uid

    def pause(self) -> bool:
        """Keep its waiting trials from being claimed."""
        return self._hold(StudyEvent.PAUSE, held=True)

    def resume(self) -> bool:
        """Let its waiting trials be claimed again."""
        return self._hold(StudyEvent.RESUME, held=False)

    def _hold(self, cause: StudyEvent, *, held: bool) -> bool:
        moved = self._row.move(cause)
        if moved:
            self.open.hold(held=held)
        return moved

    def stop(self) -> bool:
        """End the search by the user's will; running trials go on."""
        return self._row.move(StudyEvent.STOP, end_reason=EndReason.USER.value)

    def cancel(self) -> bool:
        """End the study at once by the user's will."""
        return self._row.move(StudyEvent.CANCEL, end_reason=EndReason.USER.value, phase="ended", ended_at=self._at)

    def finish(self) -> bool:
        """End the study with success."""
        return self._row.move(StudyEvent.FINISH, phase="ended", ended_at=self._at)

    def fail(self) -> bool:
        """End the study without."""
        return self._row.move(StudyEvent.FAIL, phase="ended", ended_at=self._at)

    def reopen(self) -> bool:
        """Let a study that had ended search again."""
        return self._row.move(StudyEvent.REOPEN, end_reason=None, phase="search", ended_at=None)

    def reopen_search(self) -> None:
        """Let a search that is over go on; the study itself has not ended."""
        self._row.set(end_reason=None, phase="search", ended_at=None)

    def end_search(self, reason: EndReason) -> None:
        """Note why the search is over."""
        self._row.set(end_reason=reason.value)

    def enter_phase(self, phase: str) -> None:
        """Go on to another phase."""
        self._row.set(phase=phase)

    def set_max_trials(self, max_trials: int) -> None:
        """Set the number of search trials."""
        self._row.set(max_trials=max_trials)

    def set_grid_cursor(self, cursor: int) -> None:
        """Note how much of the grid's order has been handed out."""
        self._row.set(grid_cursor=cursor)

    def set_best(self, trial_id: int, value: float | None) -> None:
        """Set the best trial, by its internal id, and its value."""
        self._row.set(best_trial_id=trial_id, best_value=value)

    def set_trouble(self, trouble: str | None) -> None:
        """Note why its trials wait although there are workers; None when nothing is wrong."""
        self._row.set(trouble=trouble)

    def set_advice(self, advice: str | None) -> None:
        """Note what its user should know of how its points were found; None for nothing."""
        self._row.set(advice=advice)

    def edit(
        self, *, name: str | None = None, priority: int | None = None, notes: str | None = None,
        labels: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Set what users may change; None leaves it. A new priority holds for its open trials too."""
        before = self.record.priority
        given = {"name": name, "priority": priority, "notes": notes, "labels": labels}
        self._row.set(**{column: value for column, value in given.items() if value is not None})
        if self.record.priority != before:
            self.open.prioritise(self.record.priority)

    def delete(self) -> None:
        """Delete the study with its trials, results, measurements and events."""
        mine = select(trial.c.id).where(trial.c.study_id == self.id)
        # In order of ids, as a late report takes them.
        self._connection.execute(mine.order_by(trial.c.id).with_for_update()).all()
        self._connection.execute(delete(event).where(event.c.study_id == self.id))
        self._connection.execute(delete(trial).where(trial.c.study_id == self.id))
        self._connection.execute(delete(study).where(study.c.id == self.id))
