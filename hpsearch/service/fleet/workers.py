"""Workers: registration, the fleet's view, draining and disabling."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from hpsearch.errors import ForbiddenError, LimitError
from hpsearch.lru_cache import LruCache
from hpsearch.service.context import Caller, Context
from hpsearch.service.ids import new_uid
from hpsearch.storage.records import WorkerRecord
from hpsearch.storage.store import Transaction
from hpsearch.wire.pages import Page
from hpsearch.wire.workers import Device, RegisterReply, RegisterRequest, WorkerProgress, WorkerView

ACTIVE: Final = "ACTIVE"
DRAINING: Final = "DRAINING"
DISABLED: Final = "DISABLED"
# Workers of one token that may be present at the same time: one in a crash loop registers again and again.
MAX_PRESENT: Final = 1000

_reporting: LruCache[str, WorkerRecord] = LruCache(4096)


def register(ctx: Context, caller: Caller, request: RegisterRequest) -> RegisterReply:
    """Return a fresh worker id and the rhythm to keep; each process start registers anew.

    Raises:
        LimitError: Too many workers of the token are present.
    """
    uid = new_uid()
    present_since = timedelta(seconds=ctx.settings.lease_s)
    with ctx.store.write() as tx:
        n = tx.workers.n_present(caller.token_id, heard_since=tx.at - present_since, at_most=MAX_PRESENT)
        if n >= MAX_PRESENT:
            msg = (
                f"{n:,} workers of this token were heard of within {ctx.settings.lease_s:g} s, which is the limit: "
                "stop some, see whether one is started again and again, or use another token"
            )
            raise LimitError(msg, code="workers.too_many")
        tx.workers.add(
            uid=uid,
            token_uid=caller.token_id,
            name=request.name,
            version=request.version,
            devices=[device.model_dump() for device in request.devices],
        )
    return RegisterReply(
        worker_id=uid,
        heartbeat_s=ctx.settings.heartbeat_s,
        lease_s=ctx.settings.lease_s,
        hears_slots=True,
        hears_stage=True,
    )


def identify(tx: Transaction, caller: Caller, worker_id: str, *, lock: bool = False) -> WorkerRecord:
    """Return the worker a request speaks for, held until the transaction ends if so wanted.

    Raises:
        NotFoundError: It was never registered here.
        ForbiddenError: It was registered with another token.
    """
    return _own(caller, tx.workers.get(worker_id, lock=lock))


def recognise(tx: Transaction, caller: Caller, worker_id: str) -> WorkerRecord:
    """Return the worker that reports, as `identify` does, but perhaps as it was at its last noted sign of life.

    What it is and whose never changes, and a worker reports many times between two signs of life that are noted.

    Raises:
        NotFoundError: It was never registered here.
        ForbiddenError: It was registered with another token.
    """
    known = _reporting.get(worker_id, lambda: tx.workers.get(worker_id))
    if tx.workers.is_silent(known):
        known = tx.workers.get(worker_id)
        _reporting.put(worker_id, dataclasses.replace(known, last_seen_at=tx.at))
    return _own(caller, known)


def remember(worker: WorkerRecord, progress: Mapping[str, Any] | None, at: datetime) -> None:
    """Keep what a worker has just said of its slots, so that its next report is not taken for news."""
    kept = None if progress is None else dict(progress)
    _reporting.put(worker.uid, dataclasses.replace(worker, progress=kept, last_seen_at=at))


def _own(caller: Caller, worker: WorkerRecord) -> WorkerRecord:
    if worker.token_uid != caller.token_id and not caller.is_admin:
        msg = f"worker {worker.uid} was registered with another token; register a worker of your own"
        raise ForbiddenError(msg, code="worker.foreign")
    return worker


def listing(ctx: Context, *, limit: int, page_token: str | None, only_present: bool = False) -> Page[WorkerView]:
    """Return a page of the fleet, newest first; with ``only_present`` without those that are gone."""
    with ctx.store.read() as tx:
        silent_since = tx.at - timedelta(seconds=ctx.settings.lease_s)
        heard_since = silent_since if only_present else None
        rows, token = tx.workers.page(limit=limit, page_token=page_token, heard_since=heard_since)
        views = tuple(_view(record, quarantined, running, silent_since) for record, quarantined, running in rows)
    return Page[WorkerView](items=views, next_page_token=token)


def _view(record: WorkerRecord, quarantined: bool, n_running: int, silent_since: datetime) -> WorkerView:  # noqa: FBT001
    state = record.state
    if record.last_seen_at < silent_since:
        state = "GONE"
    elif quarantined and state == ACTIVE:
        state = "QUARANTINED"
    progress = None if record.progress is None else WorkerProgress.model_validate(record.progress)
    return WorkerView(
        worker_id=record.uid,
        name=record.name,
        state=state,
        version=record.version,
        devices=tuple(Device.model_validate(device) for device in record.devices),
        registered_at=record.registered_at,
        last_seen_at=record.last_seen_at,
        quarantine_reason=record.quarantine_reason if quarantined else None,
        quarantined_until_at=None
        if record.quarantined_until is None
        else datetime.fromtimestamp(record.quarantined_until, tz=record.registered_at.tzinfo),
        n_running=n_running,
        n_finished=record.n_finished,
        # A worker without trials reports nothing: what it said last is no longer so.
        progress=None if n_running == 0 else progress,
        stage=_stage(progress, n_running),
    )


def _stage(progress: WorkerProgress | None, n_running: int) -> str:
    if n_running > 0:
        return (progress and progress.stage) or "training"
    # A worker says of itself what it can when it first asks for trials.
    return "starting" if progress is None else "idle"


def get(ctx: Context, worker_id: str) -> WorkerView:
    """Return one worker.

    Raises:
        NotFoundError: There is none of that id.
    """
    with ctx.store.read() as tx:
        return _current(ctx, tx, worker_id)


def _current(ctx: Context, tx: Transaction, worker_id: str) -> WorkerView:
    record = tx.workers.get(worker_id)
    n_running = len(tx.queue.running_of_worker(record.id))
    return _view(record, tx.workers.quarantined(record), n_running, tx.at - timedelta(seconds=ctx.settings.lease_s))


def _set_state(ctx: Context, worker_id: str, state: str) -> WorkerView:
    with ctx.store.write() as tx:
        tx.workers.set_state(tx.workers.get(worker_id).id, state)
        view = _current(ctx, tx, worker_id)
    ctx.signals.work()
    return view


def drain(ctx: Context, worker_id: str) -> WorkerView:
    """Let the worker finish what it holds and give it nothing more."""
    return _set_state(ctx, worker_id, DRAINING)


def disable(ctx: Context, worker_id: str) -> WorkerView:
    """Give the worker nothing more until it is enabled; what it holds goes on."""
    return _set_state(ctx, worker_id, DISABLED)


def enable(ctx: Context, worker_id: str) -> WorkerView:
    """Give the worker trials again, quarantined or not."""
    with ctx.store.write() as tx:
        tx.workers.pardon(tx.workers.get(worker_id))
    return _set_state(ctx, worker_id, ACTIVE)
