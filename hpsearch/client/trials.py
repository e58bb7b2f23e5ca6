"""Single trials over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hpsearch.client.checked import checked
from hpsearch.client.connection import Connection, segment
from hpsearch.client.files import download
from hpsearch.client.lookup import trial_id_of
from hpsearch.client.paging import walk
from hpsearch.wire.pages import MeasurementView, Page, TrialView


@checked
class Trials:
    """The trials of all studies of a server, by id or as STUDY#NUMBER; those of one study are under `studies`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _path(self, trial: str, *rest: str) -> str:
        return "/".join(("/v1/trials", segment(trial_id_of(self._connection, trial)), *rest))

    def get(self, trial: str) -> TrialView:
        """Return one trial with its attempts."""
        return self._connection.call(TrialView, "GET", self._path(trial))

    def measurements(
        self, trial: str, *, attempt: int | None = None, limit: int | None = None, page_token: str | None = None
    ) -> Page[MeasurementView]:
        """Return a page of the metrics of every epoch, of one attempt or of the current one."""
        params = {"attempt": attempt, "limit": limit, "page_token": page_token}
        return self._connection.call(Page[MeasurementView], "GET", self._path(trial, "measurements"), params=params)

    def all_measurements(self, trial: str, *, attempt: int | None = None) -> Iterator[MeasurementView]:
        """Iterate over the metrics of every epoch, page by page."""
        return walk(lambda token: self.measurements(trial, attempt=attempt, page_token=token))

    def stop(self, trial: str) -> TrialView:
        """Cancel one trial; its worker drops it at its next report."""
        return self._connection.call(TrialView, "POST", self._path(trial, "stop"), repeatable=True)

    def retry(self, trial: str) -> TrialView:
        """Put one failed trial back."""
        return self._connection.call(TrialView, "POST", self._path(trial, "retry"))

    def download_model(self, trial: str, target: Path | str) -> str:
        """Write a retained trial's model (`.keras`) to `target` and return its SHA-256 in hex, which was checked."""
        return download(self._connection, self._path(trial, "model"), target)
