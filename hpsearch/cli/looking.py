"""What the commands do that submit a study, follow it and look at its results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from hpsearch.cli import failure
from hpsearch.cli.connecting import connected
from hpsearch.cli.console import emit, note, say
from hpsearch.cli.definition import load_study
from hpsearch.cli.figures import number, parameters
from hpsearch.cli.finding import find_study, find_trial
from hpsearch.cli.outcome import check_out, collect, save_model, summary
from hpsearch.cli.pages import first
from hpsearch.cli.study_run import stop_signals
from hpsearch.cli.submission import create, uploaded_definition
from hpsearch.cli.tables import print_leaderboard
from hpsearch.cli.trial_report import trial_document, trial_lines
from hpsearch.cli.watching import Link, Watcher, fitting_view
from hpsearch.client import Client
from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.errors import NotFoundError
from hpsearch.wire.pages import StudyView

_TABLE_ROWS = 20


def submit(
    path: Path, server: str | None, token: str | None, data_dir: Path | None, *, watch: bool, as_json: bool
) -> int:
    """Submit a study, follow it if asked to, and return the exit code."""
    file = load_study(path)
    with connected(server, token, data_dir, creates=True) as client:
        study = create(client, uploaded_definition(client, file, note))
        if watch:
            note(f"Study {study.name!r} ({study.study_id}) is submitted.")
            return _follow(client, study, token_of=client, as_json=as_json)
        _warn_if_nobody_works(client)
    if as_json:
        emit(study)
    else:
        say(study.study_id)
        note(f"Study {study.name!r} is submitted; watch it with  hpsearch leaderboard {study.study_id} --watch")
    return failure.OK


def leaderboard(
    wanted: str,
    server: str | None,
    token: str | None,
    data_dir: Path | None,
    *,
    limit: int | None,
    watch: bool,
    as_json: bool,
) -> int:
    """Print the leaderboard, following the study before if asked to, and return the exit code."""
    with connected(server, token, data_dir) as client:
        study = find_study(client, wanted)
        if watch and study.state not in STUDY_FINAL:
            code = _watch(client, study)
            if code is not None:
                return code
            study = client.studies.get(study.study_id)
        if as_json and limit is None:
            page = client.studies.leaderboard(study.study_id)
        else:
            page = client.studies.leaderboard(study.study_id, limit=1)
            rows = first(limit or _TABLE_ROWS, lambda n, after: client.studies.leaderboard(study.study_id, limit=n, page_token=after))
            page = page.model_copy(update={"items": rows.items, "next_page_token": rows.next_page_token})
    if as_json:
        emit(page)
        return failure.OK
    note(f"{study.name} ({study.study_id}): {study.state.lower()}, {study.n_trials} of {study.budget.max_trials} trials")
    if not page.items:
        note("No trial has finished yet.")
        return failure.OK
    print_leaderboard(page)
    if page.next_page_token is not None:
        note("More with --limit.")
    return failure.OK
