"""`hpsearch run`: everything from a study file to a model file, on this machine or on a server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hpsearch.cli import failure
from hpsearch.cli.actions.run_summary import StudyOutcome, check_out, collect, summary
from hpsearch.cli.actions.submission import continue_or_create, uploaded_definition
from hpsearch.cli.actions.watch import Link, View, Watcher, fitting_view
from hpsearch.cli.connecting import require_token
from hpsearch.cli.console import emit, note, say
from hpsearch.cli.display.formatting import plural
from hpsearch.cli.stopping import stop_signals
from hpsearch.client import Client
from hpsearch.domain.lifecycle import STUDY_FINAL, StudyState
from hpsearch.errors import HpsearchError
from hpsearch.local.processes import Crew
from hpsearch.settings import Settings
from hpsearch.studyfile.reader import load_study
from hpsearch.wire.pages import StudyView


@dataclass(frozen=True)
class RunOptions:
    """What the user asked `hpsearch run` for.

    Attributes:
        study: The study file.
        out: Where the best model goes.
        as_json: Print one JSON object instead of a summary.
        workers: Local workers; None for as many as the machine carries, or none with a remote server.
        engine: Of the local workers; None for the study's own.
        data_dir: Of the local server; None for the default.
        server: Address of a remote server; None for the local one.
        token: Bearer token of the remote server.
        always_new: Start a new study even if the same one is there.
    """

    study: Path
    out: Path
    as_json: bool = False
    workers: int | None = None
    engine: str | None = None
    data_dir: Path | None = None
    server: str | None = None
    token: str | None = None
    always_new: bool = False


def run_study(options: RunOptions) -> int:
    """Search, write the best model, print how it ended, and return the exit code.

    Nothing that was started stays behind, however this ends; the study can always be continued.

    Raises:
        HpsearchError: The study can not be run; the message says why.
        KeyboardInterrupt: The user or the system asked to stop.
    """
    file = load_study(options.study)
    out = check_out(options.out)
    settings = Settings.load(data_dir=options.data_dir)
    view = fitting_view()
    progress = _Progress()
    try:
        with stop_signals(), Crew(settings, tell=view.tell) as crew, _goodbye(crew), view:
            # How many processes there should be depends on the engine, and the whole crew is here for this study.
            engine = file.definition().engine
            crew.engine = options.engine or (engine if engine != "auto" else None)
            _connect(crew, options, settings, view)
            with closing(Link(crew.url, crew.token)) as link:
                tend = _tending(crew, link) if crew.own_server else None
                definition = link.steadily(lambda client: uploaded_definition(client, file, view.wait), tend)
                found = link.steadily(
                    lambda client: continue_or_create(client, definition, view.tell, always_new=options.always_new),
                    tend,
                )
                progress.study = found.study
                view.tell(_page_sentence(crew.url, found.study, settings, is_local=options.server is None))
                if found.study.state not in STUDY_FINAL:
                    progress.study = _search(crew, options, link, found.study, view)
                # Whoever has nothing to do any more may go while the model is fetched.
                crew.dismiss()
                ended = progress.study
                outcome = link.steadily(lambda client: collect(client, ended, out), tend)
                crew.is_idle = crew.own_server and _is_idle(link.client)
    except KeyboardInterrupt:
        _explain_interrupt(progress.study, options)
        return failure.INTERRUPTED
    return _print(outcome, as_json=options.as_json)


@dataclass
class _Progress:
    study: StudyView | None = None


def _connect(crew: Crew, options: RunOptions, settings: Settings, view: View) -> None:
    if options.server is not None:
        crew.url = options.server
        crew.token = require_token(options.server, options.token, settings)
        return
    view.wait("Starting the local server …")
    crew.open_local(meanwhile=lambda: _hire(crew, options, view))


def _tending(crew: Crew, link: Link) -> Callable[[], None]:
    """Return what brings a local server back that went: another command had started it, and ended it with itself."""

    def tend() -> None:
        crew.tend_server()
        link.move(crew.url, crew.token)

    return tend


def _search(crew: Crew, options: RunOptions, link: Link, study: StudyView, view: View) -> StudyView:
    if not crew.has_hired:
        _hire(crew, options, view)

    def tend() -> None:
        crew.tend()
        link.move(crew.url, crew.token)

    return Watcher(lambda: link.client, study.study_id).follow(view, tend=tend).study


def _hire(crew: Crew, options: RunOptions, view: View) -> None:
    n_workers = 0 if options.workers is None and options.server is not None else options.workers
    n_trainers = crew.hire(n_workers)
    if n_trainers:
        view.wait(f"Starting {plural(n_trainers, 'local trainer')} …")


def _is_idle(client: Client) -> bool:
    """Return whether no worker of the server holds a trial, and no study could give it one."""
    with contextlib.suppress(HpsearchError):
        is_running = client.studies.list(state=StudyState.RUNNING, limit=1).items
        return not is_running and not any(worker.n_running for worker in client.workers.list(limit=100).items)
    return False


def _page_sentence(url: str, study: StudyView, settings: Settings, *, is_local: bool) -> str:
    """Return where the study can be watched in a browser."""
    # The address has a line of its own: broken in two it could not be clicked.
    sign_in = f" (sign in with the token in {settings.token_path})" if is_local else ""
    return f"In a browser{sign_in}:\n{url}/ui/studies/{study.study_id}"


@contextmanager
def _goodbye(crew: Crew) -> Iterator[None]:
    """Say why it takes some seconds when an interrupt ends what was started."""
    try:
        yield
    except KeyboardInterrupt:
        if crew.n_workers:
            note("Stopping: the workers give their trials back …")
        raise


def _explain_interrupt(study: StudyView | None, options: RunOptions) -> None:
    if study is None:
        note("Interrupted before the study was submitted.")
    elif options.server is not None:
        note(
            f"Interrupted. The study goes on at {options.server}: run the same command again to watch it, "
            f"or end it with  hpsearch cancel {study.study_id}"
        )
    else:
        note("Interrupted. Everything is kept: run the same command again to continue.")


def _print(outcome: StudyOutcome, *, as_json: bool) -> int:
    if as_json:
        emit(outcome.document())
    else:
        for line in summary(outcome):
            say(line)
    return failure.OK if outcome.has_result else failure.NO_RESULT
