"""What a study is doing, in sentences for people."""

from __future__ import annotations

from typing import Final

from hpsearch.domain.algorithms import ALGORITHMS
from hpsearch.service.studies.study_snapshot import Glimpse
from hpsearch.wire.pages import StudyView
from hpsearch.wording.trials import baseline_name

_END_REASONS: Final = {
    "max_trials": "all trials done",
    "wall_time": "time limit reached",
    "device_seconds": "device time used up",
    "target_reached": "target reached",
    "space_exhausted": "every point of the space tried",
    "max_failed": "too many trials failed",
    "user": "stopped by a user",
    "no_result": "no search trial came to a result",
    "no_gain": "no more gain expected",
}

# Results a model of them needs before it is worth much.
_FEW: Final = 10


def ended_for(reason: str | None) -> str:
    """Return why a search is over, as a clause; empty while it is not."""
    return _END_REASONS.get(reason or "", (reason or "").replace("_", " "))


def doing(glimpse: Glimpse) -> str:
    """Return what the study is doing now, in a sentence or two."""
    study = glimpse.study
    if study.state in ("COMPLETED", "CANCELLED", "FAILED"):
        return _ended(study)
    waits, runs = study.counts["WAITING"], study.counts["RUNNING"]
    if study.state == "PAUSED":
        rest = f"; {_trials(runs)} still running" if runs else ""
        return f"Paused: no new trials start{rest}."
    if study.state == "STOPPING":
        return f"Stopping: {_trials(runs)} still running, then it ends."
    if study.phase == "confirmation":
        return (
            f"Training the best {study.definition.confirm.top_k} again with other seeds: {_trials(waits + runs)} to go."
        )
    if study.phase == "refit":
        return "Training the winner again on training and validation rows, for the final model."
    return _searching(study, waits, runs)


def _searching(study: StudyView, waits: int, runs: int) -> str:
    if runs == 0 and waits == 0:
        return "Choosing the next points."
    if runs == 0:
        return f"Waiting for a worker: {_trials(waits)} ready."
    traits = ALGORITHMS[study.definition.algorithm.kind]
    how = traits.tries_first if traits.tries_first and study.n_trials < _FEW else traits.tries
    queued = f", {_trials(waits)} waiting" if waits else ""
    return f"Searching: {_trials(runs)} running{queued}. Tries {how}."


def _ended(study: StudyView) -> str:
    reason = ended_for(study.end_reason)
    word = {"COMPLETED": "Finished", "CANCELLED": "Cancelled", "FAILED": "Failed"}[study.state]
    return f"{word}: {reason}." if reason else f"{word}."


def _trials(n: int) -> str:
    return f"{n:,} trial{'' if n == 1 else 's'}"


def verdict(study: StudyView) -> str | None:
    """Return a warning when nothing beats the baseline; None when something does, or nothing is known."""
    if study.best is None or study.best.kind != "baseline" or not study.n_trials:
        return None
    name = baseline_name(study.best.params)
    return f"No search trial beats the baseline so far: the {name} is at the top of the board."
