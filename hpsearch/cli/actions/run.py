"""Action of `hpsearch run`: a study file in, a model file out, on this machine or on a server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hpsearch.cli import failure
from hpsearch.cli.actions.run_summary import StudyOutcome, check_out, collect, summary
from hpsearch.cli.actions.submission import continue_or_create, uploaded_definition
from hpsearch.cli.actions.watch import ServerConnection, View, Watcher, fitting_view
from hpsearch.cli.connecting import require_token
from hpsearch.cli.console import emit, note, say
from hpsearch.cli.stopping import stop_signals
from hpsearch.client import Client
from hpsearch.domain.lifecycle import STUDY_FINAL, StudyState
from hpsearch.errors import HpsearchError
from hpsearch.local.local_processes import LocalProcesses
from hpsearch.settings import Settings
from hpsearch.studyfile.reader import load_study
from hpsearch.wire.pages import StudyView
from hpsearch.wording.figures import count


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
        with (
            stop_signals(),
            LocalProcesses(settings, notify=view.notify) as processes,
            _explain_shutdown(processes),
            view,
        ):
            # How many processes there should be depends on the engine, and the workers serve only this study.
            engine = file.definition().engine
            processes.engine = options.engine or (engine if engine != "auto" else None)
            _connect(processes, options, settings, view)
            with closing(ServerConnection(processes.url, processes.token)) as server:
                supervise = _server_supervision(processes, server) if processes.may_restart_server else None
                definition = server.with_retries(lambda client: uploaded_definition(client, file, view.wait), supervise)
                found = server.with_retries(
                    lambda client: continue_or_create(client, definition, view.notify, always_new=options.always_new),
                    supervise,
                )
                progress.study = found.study
                view.notify(_page_sentence(processes.url, found.study, settings, is_local=options.server is None))
                if found.study.state not in STUDY_FINAL:
                    progress.study = _search(processes, options, server, found.study, view)
                # Whoever has nothing to do any more may go while the model is fetched.
                processes.terminate_workers()
                ended = progress.study
                outcome = server.with_retries(lambda client: collect(client, ended, out), supervise)
                processes.is_idle = processes.may_restart_server and _is_idle(server.client)
    except KeyboardInterrupt:
        _explain_interrupt(progress.study, options)
        return failure.INTERRUPTED
    return _print(outcome, as_json=options.as_json)


@dataclass
class _Progress:
    study: StudyView | None = None


def _connect(processes: LocalProcesses, options: RunOptions, settings: Settings, view: View) -> None:
    if options.server is not None:
        processes.url = options.server
        processes.token = require_token(options.server, options.token, settings)
        return
    view.wait("Starting the local server …")
    processes.open_server(meanwhile=lambda: _start_workers(processes, options, view))


def _server_supervision(processes: LocalProcesses, server: ServerConnection) -> Callable[[], None]:
    """Return what restarts a local server that has ended, for instance with the other command that had started it."""

    def supervise() -> None:
        processes.supervise_server()
        server.move_to(processes.url, processes.token)

    return supervise


def _search(
    processes: LocalProcesses, options: RunOptions, server: ServerConnection, study: StudyView, view: View
) -> StudyView:
    if not processes.has_workers:
        _start_workers(processes, options, view)

    def supervise() -> None:
        processes.supervise()
        server.move_to(processes.url, processes.token)

    return Watcher(lambda: server.client, study.study_id).follow(view, supervise=supervise).study


def _start_workers(processes: LocalProcesses, options: RunOptions, view: View) -> None:
    n_workers = 0 if options.workers is None and options.server is not None else options.workers
    n_trainers = processes.start_workers(n_workers)
    if n_trainers:
        view.wait(f"Starting {count(n_trainers, 'local trainer')} …")


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
def _explain_shutdown(processes: LocalProcesses) -> Iterator[None]:
    """Print why an interrupt takes some seconds."""
    try:
        yield
    except KeyboardInterrupt:
        if processes.n_workers:
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
