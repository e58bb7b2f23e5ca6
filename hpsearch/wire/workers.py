"""Workers as they introduce themselves and as the fleet shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from hpsearch.domain.strict import Count, Float, Frozen, Lenient, Name, NewName, at_most

# What a worker does with the trials it holds.
Stage = Literal["fetching", "compiling", "training"]


class Device(Frozen):
    """One device a worker trains on.

    Attributes:
        kind: `cpu` or `gpu`.
        name: As the driver or the system calls it.
        memory_bytes: Of the device; None when unknown.
        cores: CPU cores usable; None for GPUs.
    """

    kind: Name
    name: Name
    memory_bytes: Count | None = None
    cores: Count | None = None


class WorkerProgress(Frozen):
    """What a worker is doing: for people, and for how far ahead a search that learns creates its trials.

    Attributes:
        engine: `native` trains a trial on each CPU core, `fused` many as one program, `reference` one in each trainer.
        n_slots: Trials it can train at the same time, over all its trainers; 0 while none is ready, None from a worker
            that does not say.
        n_training: Trials that have ended at least one epoch.
        n_waiting: Trials it holds that have not, waiting for a slot or for a program to be compiled.
        trials_per_hour: Trials ended per hour, over the last five minutes.
        epochs_per_second: Epochs of single trials, over the last five minutes.
        stage: `fetching` data for its first trials, `compiling` a program that trials wait for, or `training`; None
            while it holds no trial, and from a worker that does not say.
    """

    engine: Name
    n_slots: Count | None = None
    n_training: Count = 0
    n_waiting: Count = 0
    trials_per_hour: Annotated[Float, Field(ge=0, le=1e9)] = 0.0
    epochs_per_second: Annotated[Float, Field(ge=0, le=1e9)] = 0.0
    stage: Stage | None = None


class RegisterRequest(Frozen):
    """A worker process introduces itself; each process start is a new worker.

    Attributes:
        name: For people, usually the host name.
        version: Of hpsearch.
        devices: What it trains on.
    """

    name: NewName = "worker"
    version: Name | None = None
    devices: Annotated[tuple[Device, ...], Field(max_length=64, fail_fast=True), at_most(64)] = ()


class RegisterReply(Lenient):
    """The worker's id and the rhythm it must keep.

    Attributes:
        heartbeat_s: Seconds between reports while trials run.
        lease_s: Seconds until an unreported trial may go to another worker.
        hears_slots: Whether `n_slots` may be told, and progress with a claim: older servers refuse unknown fields.
        hears_stage: Whether `stage` may be told, likewise.
    """

    worker_id: str
    heartbeat_s: float
    lease_s: float
    hears_slots: bool = False
    hears_stage: bool = False


class WorkerView(Lenient):
    """One worker of the fleet.

    Attributes:
        state: ACTIVE, DRAINING (finishes, claims no more), DISABLED, QUARANTINED or GONE (not heard of for a lease).
        quarantine_reason: Why it is in quarantine; None when it is not.
        n_running: Trials it holds.
        n_finished: Results accepted from it.
        progress: What it said it was doing when it was last heard of; None from one that says nothing.
        stage: `starting` until it first asks for trials (its trainers load their engine, and compile kernels where
            there are none yet), `idle` while it holds none, otherwise that of its progress.
    """

    worker_id: str
    name: str
    state: str
    version: str | None = None
    devices: tuple[Device, ...] = ()
    registered_at: datetime
    last_seen_at: datetime
    quarantined_until_at: datetime | None = None
    quarantine_reason: str | None = None
    n_running: int = 0
    n_finished: int = 0
    progress: WorkerProgress | None = None
    stage: Literal["starting", "idle"] | Stage | None = None
