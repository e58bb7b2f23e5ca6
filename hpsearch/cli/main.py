"""Entry point of the `hpsearch` command: the application, its commands and its error handling."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

import hpsearch
from hpsearch.cli import failure
from hpsearch.cli.app import App
from hpsearch.cli.commands import (
    database,
    datasets,
    examining,
    predicting,
    results,
    running,
    serving,
    steering,
    studies,
    tokens,
    verifying,
    workers,
)

app = App(
    name="hpsearch",
    epilog=failure.EXIT_CODES + " Errors with a traceback: HPSEARCH_DEBUG=1. No colour: NO_COLOR=1.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for part in (
    running,
    studies,
    results,
    verifying,
    steering,
    datasets,
    predicting,
    serving,
    workers,
    tokens,
    database,
    examining,
):
    part.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(hpsearch.__version__)
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Finds the best multilayer perceptron for a data set.

    Start with  [bold]hpsearch run STUDY.yaml[/bold] : it starts what is missing, searches, and leaves best.keras.
    """


@app.command("version", rich_help_panel="Server")
def _version() -> None:
    """Print the version."""
    _print_version(wanted=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code.

    Args:
        arguments: Without the program's name; None takes those of the process.
    """
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code; errors have been printed."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        outcome = app(list(arguments), prog_name="hpsearch", standalone_mode=False)
    except typer.Abort:
        return failure.INTERRUPTED
    except typer.TyperException as error:
        return _usage(error, arguments)
    except BrokenPipeError:
        failure.silence_pipes()
        return failure.FAILED
    except KeyboardInterrupt:
        return failure.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a sentence
        return failure.report(error)
    return outcome if isinstance(outcome, int) else failure.OK


def _usage(error: typer.TyperException, arguments: Sequence[str]) -> int:
    """Print what is wrong with the arguments, with the value received, and return the exit code."""
    message = error.format_message()
    if not message:  # the help was printed instead
        return failure.USAGE
    received = _received(getattr(error, "param", None), arguments)
    if received is not None and repr(received) not in message:
        message = f"{message.rstrip('.')}, received {received!r}"
    from hpsearch.cli.console import note

    note(f"Error: {message}")
    context = getattr(error, "ctx", None)
    if context is not None:
        note(f"Try  {context.command_path} --help")
    return error.exit_code


def _received(parameter: Any, arguments: Sequence[str]) -> str | None:
    """Return the value an option was given on the command line or in the environment, if it is an option."""
    names = getattr(parameter, "opts", ())
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in names and name.startswith("-"):
            return value if equals else next(iter(arguments[index + 1 :]), None)
    variable = getattr(parameter, "envvar", None)
    return os.environ.get(variable) if isinstance(variable, str) else None
