"""Actions that change the state or the budget of a study and print the result."""

from __future__ import annotations

from pathlib import Path

from hpsearch.cli.connecting import connected
from hpsearch.cli.console import emit, note
from hpsearch.wire.pages import StudyView
from hpsearch.wording.figures import count


def steer(
    verb: str, study: str, server: str | None, token: str | None, data_dir: Path | None, *, as_json: bool
) -> None:
    """Pause, resume, stop or cancel a study and print how it stands.

    Raises:
        ConflictError: It can not be done in the state the study is in.
    """
    with connected(server, token, data_dir) as client:
        found = client.studies.get(study)
        verbs = {
            "pause": client.studies.pause,
            "resume": client.studies.resume,
            "stop": client.studies.stop,
            "cancel": client.studies.cancel,
        }
        _show(verbs[verb](found.study_id), as_json=as_json)


def extend(
    study: str, server: str | None, token: str | None, data_dir: Path | None, *, max_trials: int, as_json: bool
) -> None:
    """Raise the total of finished trials and print how the study stands."""
    with connected(server, token, data_dir) as client:
        found = client.studies.get(study)
        _show(client.studies.extend(found.study_id, max_trials), as_json=as_json)


def retry_failed(study: str, server: str | None, token: str | None, data_dir: Path | None, *, as_json: bool) -> None:
    """Put the failed trials back and print how many."""
    with connected(server, token, data_dir) as client:
        found = client.studies.get(study)
        reply = client.studies.retry_failed(found.study_id)
    if as_json:
        emit(reply)
    else:
        note(f"Study {found.name!r}: {count(reply.n_retried, 'failed trial')} back in the queue.")


def _show(study: StudyView, *, as_json: bool) -> None:
    if as_json:
        emit(study)
        return
    reason = f" ({study.end_reason})" if study.end_reason else ""
    done = f"{study.n_trials} of {study.budget.max_trials} trials done"
    note(f"Study {study.name!r} ({study.study_id}) is {study.state.lower()}{reason}; {done}.")
