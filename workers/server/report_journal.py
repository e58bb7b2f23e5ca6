"""ReportJournal: a JSON-lines log of reports and their answers, to prove that nothing acknowledged was lost."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from hpsearch.errors import InvalidInputError
from hpsearch.wire.reports import ReportResult, TrialReport

JOURNAL_VARIABLE: Final = "HPSEARCH_JOURNAL"


class ReportJournal:
    """A file that grows by one JSON object for each answered report of epochs or of an attempt's end.

    Each line is written whole by one call, so that what a killed worker noted stays readable.

    Args:
        path: Begun if missing, continued otherwise; None notes nothing.

    Raises:
        InvalidInputError: The file can not be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._file: int | None = None
        if path is None:
            return
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            msg = f"{JOURNAL_VARIABLE} {path} can not be written: {(error.strerror or str(error)).lower()}"
            raise InvalidInputError(msg, code="worker.bad_option") from None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Return the journal that HPSEARCH_JOURNAL names, or one that notes nothing."""
        path = (os.environ if environment is None else environment).get(JOURNAL_VARIABLE)
        return cls(Path(path) if path else None)

    def note(self, worker_id: str, report: TrialReport, result: ReportResult) -> None:
        """Note one report and its answer; a mere heartbeat is worth a line only when it was refused."""
        is_mere_beat = report.outcome is None and not report.measurements
        if self._file is None or (is_mere_beat and result.status == "accepted"):
            return
        entry = {
            "at": datetime.now(UTC).isoformat(),
            "worker_id": worker_id,
            "status": result.status,
            **report.model_dump(mode="json"),
        }
        os.write(self._file, json.dumps(entry, allow_nan=False).encode() + b"\n")
