"""`hpsearch pause`, `resume`, `stop`, `cancel`, `extend`, `retry-failed` and `delete`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hpsearch.cli import options

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpsearch.wire.pages import StudyView

_PANEL = "Steering"


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (pause, resume, stop, cancel, extend, retry_failed, delete):
        app.command(command.__name__.replace("_", "-"), rich_help_panel=_PANEL)(command)


def pause(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Start no new trials; running ones go on."""
    _change("pause", study, server, token, data_dir, as_json=as_json)


def resume(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Go on after a pause."""
    _change("resume", study, server, token, data_dir, as_json=as_json)


def stop(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Start no new trials, let running ones end, then finish the study."""
    _change("stop", study, server, token, data_dir, as_json=as_json)


def cancel(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """End the study and its running trials now; results so far are kept."""
    _change("cancel", study, server, token, data_dir, as_json=as_json)


def extend(
    study: options.Study,
    total: Annotated[
        int | None, typer.Argument(min=1, metavar="N", help="The new total of finished trials.", show_default=False)
    ] = None,
    max_trials: Annotated[
        int | None, typer.Option("--max-trials", min=1, metavar="N", help="The same as N.", show_default=False)
    ] = None,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Let a study finish more trials, whether it still runs or has ended."""
    from hpsearch.cli.connecting import connected

    wanted = max_trials if total is None else total
    if wanted is None or max_trials not in (None, wanted):
        msg = f"say once how many trials the study shall finish in all, such as  hpsearch extend {study} 200"
        raise typer.BadParameter(msg)
    with connected(server, token, data_dir) as client:
        _print(client.studies.extend(client.studies.get(study).study_id, wanted), as_json=as_json)


def retry_failed(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Put all failed trials of a study back into the queue."""
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import emit, note
    from hpsearch.wording.figures import count

    with connected(server, token, data_dir) as client:
        found = client.studies.get(study)
        reply = client.studies.retry_failed(found.study_id)
    if as_json:
        emit(reply)
    else:
        note(f"Study {found.name!r}: {count(reply.n_retried, 'failed trial')} back in the queue.")


def delete(
    study: options.Study,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Delete a study with its trials and models, for good."""
    from hpsearch.cli.connecting import connected
    from hpsearch.cli.console import note, safe
    from hpsearch.wording.figures import count

    with connected(server, token, data_dir) as client:
        found = client.studies.get(study)
        what = f"study {found.name!r} ({found.study_id}) with {count(sum(found.counts.values()), 'trial')}"
        if not yes:
            typer.confirm(safe(f"Delete {what} for good?"), abort=True, err=True)
        client.studies.delete(found.study_id)
    note(f"Deleted {what}.")


def _change(
    verb: Literal["pause", "resume", "stop", "cancel"],
    study: str,
    server: str | None,
    token: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Call the client's method of that name and print the study."""
    from hpsearch.cli.connecting import connected

    with connected(server, token, data_dir) as client:
        change: Callable[[str], StudyView] = getattr(client.studies, verb)
        _print(change(client.studies.get(study).study_id), as_json=as_json)


def _print(study: StudyView, *, as_json: bool) -> None:
    from hpsearch.cli.console import emit, note

    if as_json:
        emit(study)
        return
    reason = f" ({study.end_reason})" if study.end_reason else ""
    done = f"{study.n_trials} of {study.budget.max_trials} trials done"
    note(f"Study {study.name!r} ({study.study_id}) is {study.state.lower()}{reason}; {done}.")
