"""Summary of an ended study: its model on disk, one JSON object for scripts, some lines for people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.cli.display.final_model import final_lines
from hpsearch.cli.display.formatting import duration, parameters, size
from hpsearch.client import Client
from hpsearch.domain.lifecycle import EndReason, StudyState
from hpsearch.domain.trial import Trial
from hpsearch.errors import InvalidInputError, NotFoundError
from hpsearch.wire.pages import LeaderboardRow, StudyView
from hpsearch.wording.end_reasons import end_reason
from hpsearch.wording.figures import count, figure
from hpsearch.wording.trials import kind_of_trial


@dataclass(frozen=True)
class StudyOutcome:
    """An ended study.

    Attributes:
        study: As the server shows it.
        model: The file written, absolute; None when there is no model.
        failure: What the first failed trial said; None when none failed.
    """

    study: StudyView
    model: Path | None
    failure: str | None = None

    @property
    def has_result(self) -> bool:
        """Whether the study was completed and left a model."""
        return self.study.state == StudyState.COMPLETED and self.model is not None

    def document(self) -> dict[str, Any]:
        """Return the object `hpsearch run --json` prints."""
        best, final = self.study.best, self.study.final
        figures = {"trial_id", "value", "params", "metrics"}
        if best is not None and best.mean is not None:
            figures |= {"mean", "n_seeds", "interval"}
        return {
            "study_id": self.study.study_id,
            "state": self.study.state,
            "end_reason": self.study.end_reason,
            "n_trials": self.study.n_trials,
            "best": None if best is None else best.model_dump(mode="json", include=figures),
            "final": None if final is None else final.model_dump(mode="json"),
            "model": None if self.model is None else str(self.model),
        }


def collect(client: Client, study: StudyView, out: Path) -> StudyOutcome:
    """Return the outcome of an ended study, its best model written to ``out``.

    Raises:
        HpsearchError: The server can not be reached, or the file not be written.
    """
    model = None if study.best is None else save_model(client, study, out)
    failed = client.studies.trials(study.study_id, state="FAILED", limit=1).items
    return StudyOutcome(study, model, failure_of(failed[0]) if failed else None)


def failure_of(trial: Trial) -> str:
    """Return why a trial failed: its cause and the last line of its traceback."""
    last = [line.strip() for line in (trial.detail or "").splitlines() if line.strip()][-1:]
    return f"trial {trial.number}: {trial.cause or 'failed'}{': ' + last[0][:300] if last else ''}"


def check_out(out: Path) -> Path:
    """Return the absolute path of a file to write.

    Raises:
        InvalidInputError: It can not be written there; better said before a long search than after.
    """
    path = out.expanduser().absolute()
    if path.is_dir():
        problem = "is a folder; name a file in it"
    elif not path.parent.is_dir():
        problem = f"can not be written: there is no folder {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        problem = "can not be written: permission denied"
    else:
        return path
    msg = f"{out} {problem}"
    raise InvalidInputError(msg, code="file.unwritable")


def check_readable(path: Path) -> None:
    """Return when there is such a file to read.

    Raises:
        InvalidInputError: There is none, or it may not be read.
    """
    problem = None
    if not path.exists():
        problem = "there is no such file"
    elif not path.is_file():
        problem = "it is not a file"
    elif not os.access(path, os.R_OK):
        problem = "permission denied"
    if problem is not None:
        msg = f"{path} can not be read: {problem}"
        raise InvalidInputError(msg, code="file.unreadable")


def save_model(client: Client, study: StudyView, out: Path) -> Path | None:
    """Write a study's best model whole or not at all, and return its path; None when the server has none."""
    try:
        client.studies.download_model(study.study_id, out)
    except NotFoundError:
        return None
    give_usual_mode(out)
    return out


def give_usual_mode(path: Path) -> None:
    """Let a file that was written through a private temporary one be read by whom the user's mask allows."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def summary(outcome: StudyOutcome) -> Iterator[str]:
    """Yield the lines that tell a person how the study ended."""
    study = outcome.study
    cost = f"{duration(study.budget.wall_time_s)}, {duration(study.budget.device_seconds)} of device time"
    ended = f"{study.state.lower()}, {end_reason(study.end_reason) or 'no reason given'}"
    yield f"{study.name}: {ended} ({count(study.n_trials, 'trial')}, {cost})"
    if study.final is not None:
        yield from final_lines(study.final)
    elif study.best is not None:
        yield from _best_lines(study.best, study.resolved.metric)
    else:
        yield "No trial came to a result."
    if study.end_reason == EndReason.NO_RESULT and study.note_to_user is not None:
        yield f"{study.note_to_user[:1].upper()}{study.note_to_user[1:]}."
    elif outcome.failure is not None:
        yield f"{count(study.counts.get('FAILED', 0), 'trial')} failed; {outcome.failure}"
    if outcome.model is not None:
        yield from _model_lines(outcome.model)
    elif study.best is not None:
        yield "The server kept no model of it; --new searches again."
    yield f"Look closer: hpsearch leaderboard {_shell(study.name)}"


def _best_lines(best: LeaderboardRow, metric: str) -> Iterator[str]:
    """Yield what is known of a best trial that left no model."""
    which = kind_of_trial(best.kind, best.params)
    trial = f"trial {best.number}{f' ({which})' if which else ''}"
    yield f"Best: {trial}, {metric} {figure(best.value)} on the validation rows"
    yield f"      {parameters(best.params)}"


def _model_lines(model: Path) -> Iterator[str]:
    shown = os.path.relpath(model) if model.is_relative_to(Path.cwd()) else str(model)
    yield f"Model: {shown} ({size(model.stat().st_size)})"
    yield f"Predict: hpsearch predict {_shell(shown)} DATA.csv"


def _shell(text: str) -> str:
    import shlex

    return shlex.quote(text)
