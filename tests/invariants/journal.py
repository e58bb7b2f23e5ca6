"""A worker's own record of what the server told it, to be held against the database afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from hpsearch.domain.strict import Lenient
from hpsearch.domain.trial import Measurement, Outcome

ACKNOWLEDGED: Final = frozenset({"accepted", "replayed"})


class JournalEntry(Lenient):
    """One report and its answer.

    Attributes:
        status: As answered: `accepted`, `replayed`, `stale_attempt`, …
        outcome: As reported; None for a report of epochs alone.
        measurements: As reported.
    """

    trial_id: str
    attempt: int
    status: str
    outcome: Outcome | None = None
    measurements: tuple[Measurement, ...] = ()

    @property
    def acknowledged(self) -> bool:
        """Whether the server said that it has it."""
        return self.status in ACKNOWLEDGED


def write(path: Path, entries: Iterable[JournalEntry]) -> None:
    """Append entries to a journal file, one line each; they survive the writer's SIGKILL once this returns."""
    lines = "".join(entry.model_dump_json() + "\n" for entry in entries)
    with path.open("a", encoding="utf-8") as file:
        file.write(lines)


def read(paths: Iterable[Path]) -> Iterator[JournalEntry]:
    """Yield the entries of journal files; a last line cut short by a kill is left out.

    Raises:
        ValueError: Another line is not a journal entry.
    """
    for path in paths:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            try:
                yield JournalEntry.model_validate_json(line)
            except ValidationError as error:
                if number == len(lines) and not line.endswith("\n"):
                    continue
                msg = f"line {number} of {path.name} is no journal entry: {json.dumps(line[:80])}"
                raise ValueError(msg) from error
