"""Logging to standard error: one line per event, for people or as JSON."""

from __future__ import annotations

import logging
import sys
import unicodedata
from typing import Any, Final

import structlog

_MAX_CHARACTERS: Final = 2_000


def configure(*, as_json: bool) -> None:
    """Send the log lines of this process to standard error.

    Args:
        as_json: One JSON object per line instead of text.
    """
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        # What variables hold, a token among it, stays out of the log.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.RichTracebackFormatter(show_locals=False)
        )
    )
    stamp = structlog.processors.TimeStamper(fmt="iso" if as_json else "%H:%M:%S", utc=as_json)
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, _escaped, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def logger() -> Any:
    """Return the worker's logger."""
    return structlog.get_logger("worker")


def _escaped(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Make control characters visible: a name with a line break or an escape sequence must not forge log lines."""
    return {key: _visible(value) if isinstance(value, str) else value for key, value in event.items()}


def _visible(text: str) -> str:
    text = text[:_MAX_CHARACTERS]
    if all(unicodedata.category(character)[0] != "C" for character in text):
        return text
    return "".join(c if unicodedata.category(c)[0] != "C" else c.encode("unicode_escape").decode() for c in text)
