"""Actions that submit a study, follow it and show its results."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Final

from hpsearch.cli import failure
from hpsearch.cli.actions.paging import first
from hpsearch.cli.actions.run_summary import check_out, give_usual_mode, save_model
from hpsearch.cli.actions.submission import uploaded_definition
from hpsearch.cli.actions.watch import Watcher, fitting_view
from hpsearch.cli.connecting import connected
from hpsearch.cli.console import emit, note, out, say
from hpsearch.cli.display.final_model import final_lines
from hpsearch.cli.display.formatting import parameters, size
from hpsearch.cli.display.tables import print_leaderboard
from hpsearch.cli.display.trial_report import trial_document, trial_lines
from hpsearch.cli.shell import shell
from hpsearch.cli.stopping import stop_signals
from hpsearch.client import Client
from hpsearch.client.continuing import create
from hpsearch.domain.lifecycle import STUDY_FINAL, StudyState
from hpsearch.errors import ForbiddenError
from hpsearch.studyfile.reader import load_study
from hpsearch.wire.pages import LeaderboardPage, StudyView
from hpsearch.wording.figures import figure

_TABLE_ROWS: Final = 20


def submit(
    path: Path, server: str | None, token: str | None, data_dir: Path | None, *, watch: bool, as_json: bool
) -> int:
    """Submit a study, follow it if asked to, and return the exit code."""
    file = load_study(path)
    with connected(server, token, data_dir, creates=True) as client:
        study = create(client, uploaded_definition(client, file, note))
        note(f"Study {study.name!r} ({study.study_id}) is submitted.")
        _warn_if_nobody_works(client)
        code = failure.OK
        if watch:
            study, code = _watched(client, study)
    if as_json:
        emit(study)
    elif not watch:
        say(study.study_id)
    return code


def _warn_if_nobody_works(client: Client) -> None:
    with contextlib.suppress(ForbiddenError):  # a token that may submit need not be one that may look
        if not any(worker.state == "ACTIVE" for worker in client.workers.list().items):
            note("No worker is connected: its trials wait until one is (hpsearch worker --server …).")


def leaderboard(
    wanted: str,
    server: str | None,
    token: str | None,
    data_dir: Path | None,
    *,
    limit: int | None,
    watch: bool,
    columns: str | None = None,
    as_json: bool,
) -> int:
    """Print the leaderboard, following the study before if asked to, and return the exit code."""
    code = failure.OK
    with connected(server, token, data_dir) as client:
        study = client.studies.get(wanted)
        if watch:
            study, code = _watched(client, study)
        page = _page(client, study, limit if as_json else limit or _TABLE_ROWS)
    if as_json:
        emit(page)
        return code
    note(
        f"{study.name} ({study.study_id}): {study.state.lower()}, {study.n_trials} of {study.budget.max_trials} trials"
    )
    if page.items:
        print_leaderboard(page, columns)
    else:
        note(f"No trial has come to a result yet: hpsearch trials {shell(study.name)}  lists what there is.")
    if page.next_page_token is not None:
        note("There are more: --limit N shows them.")
    return code


def _page(client: Client, study: StudyView, limit: int | None) -> LeaderboardPage:
    """Return the first rows, or the server's own page where no limit is given."""
    if limit is None:
        return client.studies.leaderboard(study.study_id)
    top = client.studies.leaderboard(study.study_id, limit=1)
    rows = first(limit, lambda n, after: client.studies.leaderboard(study.study_id, limit=n, page_token=after))
    return top.model_copy(update={"items": rows.items, "next_page_token": rows.next_page_token})


def best(
    wanted: str, server: str | None, token: str | None, data_dir: Path | None, *, download: Path | None, as_json: bool
) -> int:
    """Print the best trial, write its model if asked to, and return the exit code.

    Raises:
        NoResultError: There is no result, or no model, yet.
    """
    target = None if download is None else check_out(download)
    with connected(server, token, data_dir) as client:
        study = client.studies.get(wanted)
        if study.best is None:
            msg = f"Study {study.name!r} has no result yet ({study.state.lower()}, {study.n_trials} trials done)"
            raise failure.NoResultError(msg)
        if target is not None and save_model(client, study, target) is None:
            msg = f"Study {study.name!r} has no model to download yet"
            raise failure.NoResultError(msg)
    row = study.best
    if as_json:
        model = None if target is None else str(target)
        final = None if study.final is None else study.final.model_dump(mode="json")
        told = {"study_id": study.study_id, "state": study.state, "best": row.model_dump(mode="json")}
        emit({**told, "final": final, "model": model})
        return failure.OK
    if study.final is not None:
        for line in (f"{study.name}:", *final_lines(study.final)):
            say(line)
    else:
        value = f"{study.resolved.metric} {figure(row.value)} (validation)"
        say(f"{study.name}, {study.state.lower()}: trial {row.number}, {value}")
        say(parameters(row.params))
        say("  ".join(f"{name} {figure(value)}" for name, value in sorted(row.metrics.items())))
    if target is not None:
        note(f"The model is in {download} ({size(target.stat().st_size)}).")
    return failure.OK


def model(name: str, server: str | None, token: str | None, data_dir: Path | None, *, out: Path, as_json: bool) -> int:
    """Write the model of a study, or of the trial that a name with a number means, and return the exit code.

    Raises:
        NoResultError: The study has no model yet.
        NotFoundError: There is no such study or trial, or the trial's model is not kept.
    """
    target = check_out(out)
    with connected(server, token, data_dir) as client:
        if "#" in name:
            found = client.trials.get(name)
            client.trials.download_model(found.trial_id, target)
            give_usual_mode(target)
            told = {"study_id": found.study_id, "trial_id": found.trial_id, "number": found.number}
            what = f"trial {found.number}"
        else:
            study = client.studies.get(name)
            if save_model(client, study, target) is None:
                msg = f"Study {study.name!r} has no model yet ({study.state.lower()}, {study.n_trials} trials done)"
                raise failure.NoResultError(msg)
            final = study.final
            told = {"study_id": study.study_id, "trial_id": None, "number": None}
            if final is not None:
                told |= {"trial_id": final.trial_id, "number": final.number}
            what = f"study {study.name!r}"
    if as_json:
        emit({**told, "model": str(target)})
    else:
        note(f"The model of {what} is in {out} ({size(target.stat().st_size)}).")
    return failure.OK


def trial(name: str, server: str | None, token: str | None, data_dir: Path | None, *, as_json: bool) -> int:
    """Print one trial with a summary of its epochs, and return the exit code."""
    with connected(server, token, data_dir) as client:
        found = client.trials.get(name)
        metric = client.studies.get(found.study_id).resolved
        epochs = list(client.trials.all_measurements(found.trial_id))
    if as_json:
        emit(trial_document(found, epochs))
        return failure.OK
    for line in trial_lines(found, epochs, metric.metric, out().width):
        say(line)
    return failure.OK


def _watched(client: Client, study: StudyView) -> tuple[StudyView, int]:
    """Return the study once it has ended, or as it is when the user stops looking, and the exit code."""
    if study.state not in STUDY_FINAL:
        try:
            with stop_signals(), fitting_view() as view:
                study = Watcher(lambda: client, study.study_id).follow(view).study
        except KeyboardInterrupt:
            note(f"The study goes on; look again with  hpsearch leaderboard {study.study_id} --watch")
            return study, failure.INTERRUPTED
    has_result = study.state == StudyState.COMPLETED and study.best is not None
    return study, failure.OK if has_result else failure.NO_RESULT
