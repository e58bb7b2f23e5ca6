"""Watchdog: whether a trainer process hangs or leaks memory."""

from __future__ import annotations

from workers.options import WorkerOptions
from workers.trainers.trainer import Trainer


def silence(trainer: Trainer, now_s: float) -> str | None:
    """Return one sentence when none of a trainer's trials has made progress for too long; None while all is well.

    The most patient of the studies at hand decides, and compiling is allowed for.
    """
    if not trainer.held or trainer.ready is None:
        return None
    patience_s = max(assignment.study.training.stall_timeout_s for assignment in trainer.held.values())
    limit_s = patience_s + trainer.ready.silence_s
    if now_s - trainer.progress_s <= limit_s or trainer.process.poll() is not None:
        return None
    n = len(trainer.held)
    if n == 1:
        (assignment,) = trainer.held.values()
        return f"no progress for {limit_s:g} s after epoch {assignment.n_epochs}: the trainer process was killed"
    return f"no progress of any of {n} trials for {limit_s:g} s: the trainer process was killed"


def overgrown_bytes(trainer: Trainer, options: WorkerOptions, *, is_idle: bool) -> int | None:
    """Return a trainer's memory when it is so large that the process should be replaced; None while it is not.

    Args:
        trainer: Ready.
        options: The limits.
        is_idle: Whether nothing is in training, whose memory would be no leak.
    """
    ready = trainer.ready
    if ready is None:
        return None
    memory_bytes = trainer.memory_bytes()
    if trainer.base_memory_bytes is None:
        if not is_idle and trainer.n_finished < ready.capacity:
            return None
        trainer.base_memory_bytes = memory_bytes
    allowed_bytes = options.max_growth_bytes + (0 if is_idle else ready.pack_bytes)
    has_grown = memory_bytes - trainer.base_memory_bytes > allowed_bytes
    is_too_large = options.max_memory_bytes is not None and memory_bytes > options.max_memory_bytes
    return memory_bytes if has_grown or is_too_large else None
