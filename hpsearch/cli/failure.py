"""Exit codes and error messages: an exception as one sentence on stderr, a traceback only when asked for."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Final

from hpsearch.errors import HpsearchError, UnauthenticatedError

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NO_RESULT: Final = 3
INTERRUPTED: Final = 130

_ERROR: Final = "Error: "
EXIT_CODES: Final = (
    "Exit codes: 0 done · 1 an error, said in one sentence · 2 wrong usage · 3 the study ended without a result · "
    "130 interrupted."
)


class NoResultError(HpsearchError):
    """The study ended, but has no result to show."""

    code = "study.no_result"


def report(error: BaseException) -> int:
    """Print what went wrong and return the exit code.

    With HPSEARCH_DEBUG=1 in the environment the traceback comes first.
    """
    if os.environ.get("HPSEARCH_DEBUG", "") not in ("", "0"):
        traceback.print_exception(error)
    from rich.text import Text

    from hpsearch.cli.console import err, readable

    console = err()
    said = Text(readable(f"{_ERROR}{sentence(error)}", console))
    said.stylize("bold red", 0, len(_ERROR))
    console.print(said, soft_wrap=True)
    return NO_RESULT if isinstance(error, NoResultError) else FAILED


def sentence(error: BaseException) -> str:
    """Return what went wrong, for a person."""
    if isinstance(error, UnauthenticatedError) and error.code != "auth.none_sent":
        return (
            "the server does not accept the token: it was revoked, has expired or belongs to another server. Pass a "
            "valid one with --token or HPSEARCH_TOKEN (whoever runs the server makes one with  hpsearch tokens create)"
        )
    if isinstance(error, HpsearchError):
        return error.message
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"]) or "the value"
        return f"{field} can not be {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error} (this is a defect of hpsearch; HPSEARCH_DEBUG=1 shows where)"


def silence_pipes() -> None:
    """Discard output after a broken pipe (`hpsearch trials digits | head`), at exit too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
