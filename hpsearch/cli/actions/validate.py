"""Actions of `validate` and `preview`: the file is checked here, then definition and data on the server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hpsearch.cli import failure
from hpsearch.cli.actions.submission import uploaded_definition
from hpsearch.cli.connecting import connected
from hpsearch.cli.console import emit, note, say, warn
from hpsearch.cli.display.formatting import duration, parameters
from hpsearch.errors import InvalidStudyError
from hpsearch.studyfile.reader import load_study
from hpsearch.wire.studies import PreviewReply, Problem
from hpsearch.wording.figures import count


def validate(path: Path, server: str | None, token: str | None, data_dir: Path | None, *, as_json: bool) -> int:
    """Say whether the study would be accepted, and return the exit code.

    Raises:
        InvalidStudyError: It would not; one line for each thing wrong.
    """
    file = load_study(path)
    with connected(server, token, data_dir, creates=True) as client:
        reply = client.studies.validate(uploaded_definition(client, file, note))
    if as_json:
        emit(reply)
        return failure.OK if reply.valid else failure.FAILED
    _warn(path, reply.warnings)
    if not reply.valid:
        raise InvalidStudyError(_lines(path, reply.errors))
    say(f"{path} is a valid study.")
    return failure.OK


def preview(path: Path, server: str | None, token: str | None, data_dir: Path | None, *, as_json: bool) -> int:
    """Show what the study would do, and return the exit code.

    Raises:
        InvalidStudyError: It would not be accepted.
    """
    file = load_study(path)
    with connected(server, token, data_dir, creates=True) as client:
        reply = client.studies.preview(uploaded_definition(client, file, note))
    if as_json:
        emit(reply)
        return failure.OK if reply.valid else failure.FAILED
    _warn(path, reply.warnings)
    if not reply.valid:
        raise InvalidStudyError(_lines(path, reply.errors))
    _show(reply)
    return failure.OK


def _show(reply: PreviewReply) -> None:
    if reply.max_trials is not None:
        grid = f" of a grid of {count(reply.grid_size, 'point')}" if reply.grid_size is not None else ""
        say(f"trials   {reply.max_trials:,}{grid}, task {reply.task}")
    if reply.min_weights is not None and reply.max_weights is not None:
        say(f"weights  {reply.min_weights:,} to {reply.max_weights:,} in the sample below")
    if reply.estimated_device_seconds is not None:
        say(f"cost     about {duration(reply.estimated_device_seconds)} of device time (a rough guess)")
    if reply.sample:
        say("sample")
    for configuration in reply.sample:
        say(f"  {configuration.n_weights:>9,} weights  {parameters(configuration.params)}")


def _warn(path: Path, problems: Iterable[Problem]) -> None:
    for problem in problems:
        warn(f"note: {_line(path, problem)}")


def _lines(path: Path, problems: Iterable[Problem]) -> str:
    return (
        "\n".join(_line(path, problem) for problem in problems) or f"{path}: the server refuses it without saying why"
    )


def _line(path: Path, problem: Problem) -> str:
    return f"{path}: {problem.field + ': ' if problem.field else ''}{problem.message}"
