"""Cleanup of what is not needed any more: beaten models, unreferenced contents, abandoned uploads, old workers."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Final

import structlog

from hpsearch.service.context import Context
from hpsearch.service.results import models

_log = structlog.get_logger(__name__)

# Between two sweeps.
SWEEP_S: Final = 60.0
# To list a whole store takes long, and only servers that died leave anything to be found that way.
_STORE_SWEEP_S: Final = 3600.0
# Longer than an upload may take.
_TEMPORARY_S: Final = 2 * 3600.0
# Of the first sweep: studies that ended while no server ran for it.
_FIRST_LOOK_BACK_S: Final = 86_400.0
# Workers without a heartbeat for longer are deleted, if no trial refers to them.
_FORGET_WORKERS: Final = timedelta(days=1)


class Sweeper:
    """Sweeps for one server process; several may do so at once.

    Args:
        ctx: The opened parts.
        stopping: Set when the process is to end; what is left is for the next sweep then.
    """

    def __init__(self, ctx: Context, stopping: threading.Event) -> None:
        self._ctx = ctx
        self._stopping = stopping
        self._look_back_s = _FIRST_LOOK_BACK_S
        self._next_store_sweep_s = time.monotonic() + SWEEP_S

    def sweep(self) -> None:
        """Sweep once.

        Raises:
            UnavailableError: The database or the content store does not answer; the next sweep does the rest.
        """
        ctx = self._ctx
        ctx.content.incoming.sweep(_TEMPORARY_S)
        with ctx.store.write() as tx:
            tx.workers.forget(tx.at - _FORGET_WORKERS)
        with ctx.store.read() as tx:
            since = tx.at - timedelta(seconds=self._look_back_s)
            study_ids = {*tx.studies.open_ids(), *tx.studies.ids_ended_since(since)}
        for study_id in sorted(study_ids):
            if self._stopping.is_set():
                return
            models.drop_beaten(ctx, study_id)
        self._look_back_s = 3 * SWEEP_S
        n_swept = ctx.content.sweep()
        if time.monotonic() >= self._next_store_sweep_s:
            self._next_store_sweep_s = time.monotonic() + _STORE_SWEEP_S
            n_swept += ctx.content.sweep_store()
        if n_swept:
            _log.info("contents nothing refers to were deleted", n=n_swept)
