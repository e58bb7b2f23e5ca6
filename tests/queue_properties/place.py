"""One database that is emptied between examples, with a service on it and time that stands still."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hpsearch.clock import ManualClock
from hpsearch.service.context import Context
from hpsearch.service.operations.maintenance import Maintenance
from hpsearch.service.signals import Signals
from hpsearch.settings import Settings
from hpsearch.storage.tables import metadata
from tests.invariants.audit import Audit

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_KEPT: Final = ("dataset", "token", "content", "content_piece", "content_store")


@dataclass
class Place:
    """A service that can be emptied, and closed and opened again as a restart would."""

    settings: Settings
    clock: ManualClock = field(default_factory=lambda: ManualClock(START))
    ctx: Context = field(init=False)
    maintenance: Maintenance = field(init=False)

    def __post_init__(self) -> None:
        self._open()

    def _open(self) -> None:
        self.ctx = Context.open(self.settings, clock=self.clock)
        self.maintenance = Maintenance(self.ctx)

    def close(self) -> None:
        self.ctx.close()

    def empty(self) -> None:
        """Delete all but the data sets, and begin at the same instant again."""
        with self.ctx.store.write() as tx:
            for table in reversed(metadata.sorted_tables):
                if table.name not in _KEPT:
                    tx.connection.execute(table.delete())
        self.clock.at, self.clock.elapsed_s = START, 0.0
        self.ctx.signals = Signals()  # it remembers who was idle lately
        self.maintenance._beat()

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return (self.clock.at - START) / timedelta(seconds=1)

    def pass_time(self, seconds: float) -> None:
        """Let time pass while the server is alive."""
        self.clock.advance(seconds)
        with self.ctx.store.write() as tx:
            tx.replicas.beat(self.maintenance._replica)

    def outage(self, seconds: float) -> None:
        """Let time pass while no server is alive, then start one."""
        self.ctx.close()
        self.clock.advance(seconds)
        self._open()
        self.maintenance._beat()

    def snapshot(self) -> dict[str, Any]:
        """Return what is stored of studies and trials, by public id, as `tests.queue_properties.oracle` tells it."""
        with self.ctx.store.read() as tx:
            audit = Audit(tx.connection)
            trials = {
                trial.uid: (
                    trial.state, trial.attempt, trial.infra_attempts, trial.last_epoch, trial.value,
                    trial.held if trial.state == "WAITING" else None,
                )
                for trial in audit.trials()
            }  # fmt: skip
            studies = {
                study.uid: (
                    study.state, study.end_reason, study.max_trials, study.n_search, study.n_search_finished,
                    study.n_search_cancelled, study.best_value,
                )
                for study in audit.studies()
            }  # fmt: skip
        return {**trials, **studies}
