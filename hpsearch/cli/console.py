"""Output streams: results to stdout, all else to stderr; colour and motion only at a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from hpsearch.cli.line_wrap import flowed

# Wide enough that a table in a pipe or a file is never folded or cut.
_UNBOUNDED: Final = 100_000


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _UNBOUNDED
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)


def out() -> Console:
    """Return the console of results."""
    return _console(stderr=False)


def err() -> Console:
    """Return the console of progress, warnings and errors."""
    return _console(stderr=True)


def say(text: str) -> None:
    """Print one line of the result."""
    _print(out(), text)


def note(text: str) -> None:
    """Print one line of explanation beside the result."""
    _print(err(), text)


def warn(text: str) -> None:
    """Print one line that deserves attention beside the result."""
    _print(err(), text, style="yellow")


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(Text(readable(text, console), style=style), soft_wrap=True)


def readable(text: str, console: Console) -> str:
    """Return the text with nothing in it that steers a terminal, in lines as wide as the console if it is one."""
    return flowed(safe(text), console.width) if console.is_terminal else safe(text)


def emit(value: Any) -> None:
    """Print exactly one JSON document, on one line, to stdout.

    Args:
        value: JSON-safe data, or a pydantic model.
    """
    plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    sys.stdout.write(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def safe(text: str) -> str:
    """Return the text with control characters spelt out, so that no name or error can steer the terminal."""
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or unicodedata.category(c) not in _UNPRINTABLE else repr(c)[1:-1] for c in text)


_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def is_live() -> bool:
    """Return whether a person watches stderr, so that a moving picture makes sense."""
    return err().is_terminal and not err().is_dumb_terminal


def can_draw() -> bool:
    """Return whether stderr can show block characters."""
    return (sys.stderr.encoding or "").lower().replace("-", "").startswith("utf")
