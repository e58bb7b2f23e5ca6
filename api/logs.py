"""Logging of the server (structlog): to standard error, for people or as JSON; control characters are escaped."""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

# What variables hold stays out of the log: tokens, cookies and the database's password are among it.
_STACKS: Final = ExceptionDictTransformer(show_locals=False)
_TRACEBACKS: Final = structlog.dev.RichTracebackFormatter(show_locals=False)


def configure(*, as_json: bool) -> None:
    """Send the logs of the service and of its libraries to standard error.

    Args:
        as_json: One JSON object a line, control characters escaped; otherwise lines for people.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    render: list[Processor] = (
        [structlog.processors.ExceptionRenderer(_STACKS), structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_TRACEBACKS)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    # At lower levels they log every start and request.
    for chatty in ("uvicorn", "alembic", "httpx2", "optuna"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
