"""`hpsearch pause`, `resume`, `stop`, `cancel`, `extend`, `retry-failed` and `delete`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli import options

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
    _steer("pause", study, server, token, data_dir, as_json=as_json)


def resume(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Go on after a pause."""
    _steer("resume", study, server, token, data_dir, as_json=as_json)


def stop(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Start no new trials, let running ones end, then finish the study."""
    _steer("stop", study, server, token, data_dir, as_json=as_json)


def cancel(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """End the study and its running trials now; results so far are kept."""
    _steer("cancel", study, server, token, data_dir, as_json=as_json)


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
    from hpsearch.cli.actions.steer import extend as go

    wanted = max_trials if total is None else total
    if wanted is None or max_trials not in (None, wanted):
        msg = f"say once how many trials the study shall finish in all, such as  hpsearch extend {study} 200"
        raise typer.BadParameter(msg)
    go(study, server, token, data_dir, max_trials=wanted, as_json=as_json)


def retry_failed(
    study: options.Study,
    as_json: options.Json = False,
    server: options.Server = None,
    token: options.Token = None,
    data_dir: options.DataDir = None,
) -> None:
    """Put all failed trials of a study back into the queue."""
    from hpsearch.cli.actions.steer import retry_failed as go

    go(study, server, token, data_dir, as_json=as_json)


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


def _steer(
    verb: str, study: str, server: str | None, token: str | None, data_dir: Path | None, *, as_json: bool
) -> None:
    from hpsearch.cli.actions.steer import steer as go

    go(verb, study, server, token, data_dir, as_json=as_json)
