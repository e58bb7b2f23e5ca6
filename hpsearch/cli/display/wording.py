"""Status lines of a study for the terminal: progress, time left, running trials, workers."""

from __future__ import annotations

from typing import Final

from hpsearch.cli.display.formatting import duration, score
from hpsearch.cli.display.study_progress import Snapshot, Story
from hpsearch.wire.pages import RunningTrial, StudyView
from hpsearch.wire.workers import WorkerView
from hpsearch.wording.figures import count

_MAX_WORKERS: Final = 6
_MINUTE_S: Final = 59.5
_STAGES: Final = {
    "starting": "the workers are starting",
    "fetching": "the workers are fetching the data",
    "compiling": "compiling",
}


def tally(snapshot: Snapshot) -> str:
    """Return how far a study is: `17 of 40 trials, 4 running, 1 diverged`."""
    done, total = snapshot.study.n_trials, snapshot.n_total
    parts = [f"{done:,} of {total:,} trials" if total is not None else count(done, "trial")]
    for state, word in (
        ("RUNNING", "running"),
        ("WAITING", "waiting"),
        ("PRUNED", "pruned"),
        ("INFEASIBLE", "diverged or too large"),
        ("FAILED", "failed"),
    ):
        if snapshot.count(state):
            parts.append(f"{snapshot.count(state):,} {word}")
    return ", ".join(parts)


def best_so_far(snapshot: Snapshot) -> str:
    """Return the best value with its trial, or that there is none yet."""
    best = snapshot.study.best
    if best is None:
        return "no result yet"
    return f"best {snapshot.board.metric} {score(best.value)} (trial {best.number})"


def time_left(story: Story, snapshot: Snapshot) -> str:
    """Return the estimate of the time left, and what keeps the workers from training; empty before one can be made."""
    if snapshot.ended or snapshot.study.state != "RUNNING":
        return ""
    stage = _STAGES.get(snapshot.stage, "")
    left_s = story.left_s(snapshot) if snapshot.study.phase == "search" else None
    if left_s is None:
        return stage
    # An estimate has no tenths.
    left = f"{round(left_s)} s" if left_s < _MINUTE_S else duration(left_s)
    return f"{stage}, then about {left}" if stage else f"about {left} left"


def running(snapshot: Snapshot, width: int) -> str:
    """Return the trials under way with the last epoch of each, as many as are told whole in ``width`` characters."""
    n_running = max(snapshot.count("RUNNING"), len(snapshot.running)) if snapshot.running else 0
    shown = ""
    for n_shown, trial in enumerate(snapshot.running, start=1):
        parts = [shown] if shown else []
        longer = " · ".join([*parts, _under_way(trial, snapshot.board.metric)])
        tail = f" · {n_running - n_shown:,} more" if n_shown < n_running else ""
        if shown and len(longer + tail) > width:
            return f"{shown} · {n_running - n_shown + 1:,} more"
        shown = longer
    return f"{shown} · {n_running - len(snapshot.running):,} more" if len(snapshot.running) < n_running else shown


def _under_way(trial: RunningTrial, metric: str) -> str:
    if not trial.epoch:
        return f"trial {trial.number} starting"
    value = trial.metrics.get(metric)
    return f"trial {trial.number} epoch {trial.epoch}" + ("" if value is None else f" {metric} {score(value)}")


def standing(snapshot: Snapshot) -> str:
    """Return what the study is doing: its state, and its phase beyond the search."""
    study = snapshot.study
    if study.state != "RUNNING" or study.phase in ("search", "ended"):
        return study.state.lower()
    return {"confirmation": "confirming the best with other seeds", "refit": "training the final model"}.get(
        study.phase, study.phase
    )


def doing_of(worker: WorkerView) -> str:
    """Return what a worker does: `7 running`, `7 running, compiling`, `starting`, `idle`."""
    if not worker.n_running:
        return "starting" if worker.stage == "starting" else "idle"
    stage = {"fetching": ", fetching data", "compiling": ", compiling"}.get(worker.stage or "", "")
    return f"{worker.n_running} running{stage}"


def fleet(snapshot: Snapshot) -> str:
    """Return what the workers do, on one line."""
    active: list[WorkerView] = []
    for worker in sorted(snapshot.workers, key=lambda w: w.last_seen_at, reverse=True):
        # A worker that was stopped is idle for the server until its lease is over; its successor has the same name.
        replaced = not worker.n_running and any(worker.name == other.name for other in active)
        if worker.state != "GONE" and not replaced:
            active.append(worker)
    active.sort(key=lambda w: w.name)
    if not active:
        return "no worker yet"
    shown = []
    for worker in active[:_MAX_WORKERS]:
        doing = doing_of(worker)
        state = "" if worker.state == "ACTIVE" else f", {worker.state.lower()}"
        shown.append(f"{worker.name}: {doing}{state}")
    more = f" and {len(active) - _MAX_WORKERS} more" if len(active) > _MAX_WORKERS else ""
    return " · ".join(shown) + more


def no_trials(study: StudyView, state: str | None, kind: str | None) -> str:
    """Return that a study has none of the trials asked for, and which it has."""
    there = ", ".join(f"{n:,} {name}" for name, n in study.counts.items() if n)
    asked = " ".join(filter(None, (state and state.upper(), kind)))
    if not there:
        return f"Study {study.name!r} has no trials yet: they are made when a worker asks (hpsearch workers list)."
    return f"Study {study.name!r} has no {f'{asked} ' if asked else ''}trials; it has {there}."
