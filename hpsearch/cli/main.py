"""The `hpsearch` command: what it can do, and what becomes of its errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import hpsearch
from hpsearch.cli import failure
from hpsearch.cli.commands import database, datasets, predicting, results, running, serving, steering, studies, tokens, workers

app = typer.Typer(
    name="hpsearch",
    help="Finds the best multilayer perceptron for a data set.\n\n"
    "Start with  [bold]hpsearch run STUDY.yaml[/bold]: it starts what is missing, searches, and leaves best.keras.",
    epilog=failure.EXIT_CODES + " Errors with a traceback: HPSEARCH_DEBUG=1. No colour: NO_COLOR=1.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for part in (running, studies, results, steering, datasets, predicting, serving, workers, tokens, database):
    part.register(app)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        print(hpsearch.__version__)  # noqa: T201 - the result of the command
        raise typer.Exit


@app.command("version", rich_help_panel="Server")
def _version() -> None:
    """Print the version."""
    print(hpsearch.__version__)  # noqa: T201 - the result of the command


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
        return _usage(error)
    except BrokenPipeError:
        failure.silence_pipes()
        return failure.FAILED
    except KeyboardInterrupt:
        return failure.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the boundary: every error becomes a sentence
        return failure.report(error)
    return outcome if isinstance(outcome, int) else failure.OK


def _usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if message:
        sys.stderr.write(f"Error: {message}\n")
    if context is not None and message:
        sys.stderr.write(f"Try  {context.command_path} --help\n")
    return error.exit_code if message else failure.USAGE
