"""Background threads of a server process: reaper, filler, sweeper and the server's own heartbeat."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from hpsearch.errors import HpsearchError, NotFoundError
from hpsearch.service.context import Context
from hpsearch.service.ids import new_uid
from hpsearch.service.operations.sweeping import SWEEP_S, Sweeper
from hpsearch.service.queue import blame
from hpsearch.service.queue.filling import fill
from hpsearch.service.queue.progress import advance, is_due
from hpsearch.service.queue.reaper import BATCH, reap, requeue_quarantined
from hpsearch.storage.lease_shift import Limits

_log = structlog.get_logger(__name__)

_MAX_BEAT_S: Final = 2.0
_FILL_S: Final = 0.5
# Between two rounds of the filler: many results that arrive together are answered by one.
_FILL_PAUSE_S: Final = 0.02
_WATCH_S: Final = 0.5
# Open studies whose limits are looked at in one round.
_WATCHED: Final = 100
# A gap between wall and steady time larger than this is a jump of the clock, not drift.
_JUMP_S: Final = 1.0
_FORGET_REPLICAS_S: Final = 86_400.0


class Maintenance:
    """Starts and stops the background threads of a server process.

    Args:
        ctx: The opened parts; must stay open until `stop` has returned.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._stopping = threading.Event()
        self._replica = new_uid()
        # Outages are measured by the beat: with short leases it must be shorter still.
        self._beat_s = min(_MAX_BEAT_S, ctx.settings.lease_s / 8)
        # A worker that could not renew for a quarter of its lease still has time enough.
        self._max_silence_s = self._beat_s + ctx.settings.lease_s / 4
        self._limits = Limits(
            lease_s=ctx.settings.lease_s,
            pause_s=blame.MAX_PAUSE_S,
            quarantine_s=blame.MAX_QUARANTINE_S,
        )
        self._threads: list[threading.Thread] = []
        self._last_watch_s = time.monotonic()
        self._watched_id = 0
        self._drift: float | None = None

    def start(self) -> None:
        """Compensate for an outage that has just ended, then start the threads."""
        self._beat()
        with self._ctx.store.write() as tx:
            tx.replicas.forget_older(_FORGET_REPLICAS_S)
        jobs: tuple[tuple[str, Callable[[], None], float], ...] = (
            ("beat", self._beat, self._beat_s),
            ("reaper", self._reap, self._ctx.settings.reaper_s),
            ("filler", self._fill, _FILL_PAUSE_S),
            ("sweeper", Sweeper(self._ctx, self._stopping).sweep, SWEEP_S),
        )
        for name, job, period_s in jobs:
            thread = threading.Thread(target=self._repeat, args=(job, period_s), name=f"hpsearch-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop the threads and wait for them; what they were doing is committed or undone."""
        self._stopping.set()
        self._ctx.signals.fill_needed.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, job: Callable[[], None], period_s: float) -> None:
        while not self._stopping.is_set():
            try:
                job()
            except HpsearchError as error:
                _log.warning("maintenance failed and will be repeated", job=job.__name__, reason=error.message)
                self._stopping.wait(1.0)
            except Exception:  # noqa: BLE001 - a thread that dies of a bug would stop the whole service quietly
                _log.exception("maintenance failed and will be repeated", job=job.__name__)
                self._stopping.wait(1.0)
            self._stopping.wait(period_s)

    def _beat(self) -> None:
        """Give a sign of life, after giving every lease the time in which there was none.

        Then no server ran, the database was away, or this process stood still: no worker could renew. A clock of the
        database that was set forwards or back looks the same, and is made up for in the same way.
        """
        with self._ctx.store.write() as tx:
            tx.replicas.take_turn()
            silence = tx.replicas.silence_s()
            if silence is not None and abs(silence) > self._max_silence_s:
                n = tx.queue.shift_leases(silence, self._limits)
                tx.replicas.shift(silence)
                _log.info("no sign of life of any server; leases moved", seconds=round(silence, 1), leases=n)
            tx.replicas.beat(self._replica)

    def _clock_jumped(self) -> bool:
        drift = self._ctx.clock.now().timestamp() - self._ctx.clock.monotonic_s()
        before, self._drift = self._drift, drift
        return before is not None and abs(drift - before) > _JUMP_S

    def _reap(self) -> None:
        if self._clock_jumped():
            _log.warning("the clock jumped; leases are not looked at in this round")
            return
        with self._ctx.store.read() as tx:
            silence = tx.replicas.silence_s()
        if silence is None or abs(silence) > self._max_silence_s:
            self._beat()
        # A worker that held thousands lets them all go at once; a round that was full is followed by another.
        while not self._stopping.is_set() and reap(self._ctx, max_silence_s=self._max_silence_s) >= BATCH:
            pass
        requeue_quarantined(self._ctx)

    def _fill(self) -> None:
        ctx = self._ctx
        ctx.signals.fill_needed.wait(_FILL_S)
        ctx.signals.fill_needed.clear()
        with ctx.store.read() as tx:
            study_ids = tx.studies.fillable_ids()
        for study_id in study_ids:
            if self._stopping.is_set():
                return
            fill(ctx, study_id)
        now_s = time.monotonic()
        if now_s - self._last_watch_s > _WATCH_S:
            self._last_watch_s = now_s
            self._watch_limits()

    def _watch_limits(self) -> None:
        """End searches whose wall time is over: no report need come for that. Of very many, some have their turn."""
        with self._ctx.store.read() as tx:
            ids = tx.studies.open_ids()
            turn = [study_id for study_id in ids if study_id > self._watched_id][:_WATCHED]
            self._watched_id = turn[-1] if len(turn) == _WATCHED else 0
            due = [study.id for study in tx.studies.by_ids(turn).values() if is_due(tx, study)]
        for study_id in due:
            with suppress(NotFoundError), self._ctx.store.write() as tx:  # deleted meanwhile
                study = tx.studies.lock(study_id)
                advance(tx, study)
                self._ctx.signals.changed(study.uid)
