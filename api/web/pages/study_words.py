"""Status sentences of a study for the page: what it does now, how it ended, and the warning about baselines."""

from __future__ import annotations

from typing import Final

from hpsearch.domain.algorithms import ALGORITHMS
from hpsearch.service.studies.study_snapshot import Glimpse
from hpsearch.wire.pages import StudyView
from hpsearch.wording.end_reasons import end_reason
from hpsearch.wording.figures import count
from hpsearch.wording.trials import baseline_name

# Results a model of them needs before it is worth much.
_FEW: Final = 10


def doing(glimpse: Glimpse) -> str:
    """Return what the study is doing now, in a sentence or two."""
    study = glimpse.study
    if study.state in ("COMPLETED", "CANCELLED", "FAILED"):
        return _ended(study)
    waits, runs = study.counts["WAITING"], study.counts["RUNNING"]
    if study.state == "PAUSED":
        rest = f"; {count(runs, 'trial')} still running" if runs else ""
        return f"Paused: no new trials start{rest}."
    if study.state == "STOPPING":
        return f"Stopping: {count(runs, 'trial')} still running, then it ends."
    if study.phase == "confirmation":
        left = count(waits + runs, "trial")
        return f"Training the best {study.definition.confirm.top_k} again with other seeds: {left} to go."
    if study.phase == "refit":
        return "Training the winner again on training and validation rows, for the final model."
    return _searching(study, waits, runs)


def _searching(study: StudyView, waits: int, runs: int) -> str:
    if runs == 0 and waits == 0:
        return "Choosing the next points."
    if runs == 0:
        return f"Waiting for a worker: {count(waits, 'trial')} ready."
    traits = ALGORITHMS[study.definition.algorithm.kind]
    how = traits.tries_first if traits.tries_first and study.n_trials < _FEW else traits.tries
    queued = f", {count(waits, 'trial')} waiting" if waits else ""
    return f"Searching: {count(runs, 'trial')} running{queued}. Tries {how}."


def _ended(study: StudyView) -> str:
    reason = end_reason(study.end_reason)
    word = {"COMPLETED": "Finished", "CANCELLED": "Cancelled", "FAILED": "Failed"}[study.state]
    return f"{word}: {reason}." if reason else f"{word}."


def verdict(study: StudyView) -> str | None:
    """Return a warning when nothing beats the baseline; None when something does, or nothing is known."""
    if study.best is None or study.best.kind != "baseline" or not study.n_trials:
        return None
    name = baseline_name(study.best.params)
    return f"No search trial beats the baseline so far: the {name} is at the top of the board."
