"""Results of studies over HTTP: trials, leaderboard, history, events, exports and the best model."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Literal

from hpsearch.client.checked import checked
from hpsearch.client.connection import Connection, segment
from hpsearch.client.events import follow
from hpsearch.client.files import download
from hpsearch.client.lookup import StudyRef, study_id_of
from hpsearch.client.paging import walk
from hpsearch.domain.trial import Trial
from hpsearch.lru_cache import LruCache
from hpsearch.wire.charts import Importances, Parallel, Timeline
from hpsearch.wire.pages import Event, HistoryPoint, LeaderboardPage, LeaderboardRow, Page, RunningTrial, RunningTrials

# Leaderboard pages cached with their ETag, so that polling an unchanged one costs next to nothing.
_MAX_PAGES: Final = 32


@checked
class Results:
    """What studies found."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pages: LruCache[tuple[str, int | None, str | None], tuple[str, LeaderboardPage]] = LruCache(_MAX_PAGES)

    def _path(self, study: StudyRef, *rest: str) -> str:
        return "/".join(("/v1/studies", segment(study_id_of(self._connection, study)), *rest))

    def trials(
        self,
        study: StudyRef,
        *,
        state: str | None = None,
        kind: str | None = None,
        sort: str | None = None,
        order: Literal["asc", "desc"] | None = None,
        limit: int | None = None,
        page_token: str | None = None,
    ) -> Page[Trial]:
        """Return a page of a study's trials.

        Args:
            study: Its name or id.
            state: Only trials in this state.
            kind: `search`, `baseline`, `confirmation` or `refit`.
            sort: `number`, `value`, `epochs`, `device_seconds`, `n_weights` or `created_at`.
            order: Of the sort.
            limit: Trials on the page.
            page_token: Of the page before.
        """
        params = {"state": state, "kind": kind, "sort": sort, "order": order, "limit": limit, "page_token": page_token}
        return self._connection.call(Page[Trial], "GET", self._path(study, "trials"), params=params)

    def all_trials(self, study: StudyRef, **filters: Any) -> Iterator[Trial]:
        """Iterate over a study's trials, page by page; the filters are those of `trials`."""
        return walk(lambda token: self.trials(study, page_token=token, **filters))

    def running(self, study: StudyRef, *, limit: int | None = None) -> tuple[RunningTrial, ...]:
        """Return at most `limit` trials under way, the earliest first, each with its last epoch."""
        path = self._path(study, "running")
        return self._connection.call(RunningTrials, "GET", path, params={"limit": limit}).items

    def leaderboard(
        self, study: StudyRef, *, limit: int | None = None, page_token: str | None = None
    ) -> LeaderboardPage:
        """Return a page of the ranked trials: the very same object as last time while nothing has changed.

        The ETag of the last answer goes along, so that an unchanged page is not sent again.
        """
        key = (study_id_of(self._connection, study), limit, page_token)
        known = self._pages.find(key)
        response = self._connection.send(
            "GET",
            self._path(study, "leaderboard"),
            params={"limit": limit, "page_token": page_token},
            headers={} if known is None else {"If-None-Match": known[0]},
        )
        if known is not None and response.status_code == HTTPStatus.NOT_MODIFIED:
            return known[1]
        page = self._connection.read(LeaderboardPage, response)
        etag = response.headers.get("etag")
        if etag is not None:
            self._pages.put(key, (etag, page))
        return page

    def leaderboard_rows(self, study: StudyRef, *, limit: int | None = None) -> Iterator[LeaderboardRow]:
        """Iterate over all ranked trials, best first, `limit` of them per request."""
        return walk(lambda token: self.leaderboard(study, limit=limit, page_token=token))

    def events(self, study: StudyRef, *, after: str | None = None, attempts: int | None = None) -> Iterator[Event]:
        """Iterate over what happens in a study, for ever; break off when you have seen enough.

        A broken connection is made again and goes on after the last event seen, so that none is lost or repeated.

        Args:
            study: Its name or id.
            after: Go on after this event; None begins with the first.
            attempts: Failed connections in a row before the error is raised; None never gives up.

        Raises:
            HpsearchError: The server refuses, or can not be reached `attempts` times in a row.
        """
        return follow(self._connection, self._path(study, "events"), Event, after=after, attempts=attempts)

    def leaderboards(
        self, study: StudyRef, *, limit: int = 50, attempts: int | None = None
    ) -> Iterator[LeaderboardPage]:
        """Iterate over the first page of the ranked trials, now and whenever it changes, for ever.

        Args:
            study: Its name or id.
            limit: Rows at most.
            attempts: Failed connections in a row before the error is raised; None never gives up.
        """
        path = self._path(study, "leaderboard", "stream")
        return follow(self._connection, path, LeaderboardPage, params={"limit": limit}, attempts=attempts)

    def history(
        self, study: StudyRef, *, improvements: bool | None = None, max_points: int | None = None
    ) -> tuple[HistoryPoint, ...]:
        """Return the ranked results in order of their end, each with the best value until then.

        Args:
            study: Its name or id.
            improvements: True for only those that beat all before them.
            max_points: The whole history in about so many points; None fetches all, page by page.
        """
        asked = {"improvements": None if improvements is None else str(improvements).lower(), "max_points": max_points}

        def page(token: str | None) -> Page[HistoryPoint]:
            params = {**asked, "limit": None if max_points else 1000, "page_token": token}
            return self._connection.call(Page[HistoryPoint], "GET", self._path(study, "history"), params=params)

        return tuple(walk(page))

    def importances(self, study: StudyRef) -> Importances:
        """Return how much each searched parameter decided whether a result was among the best."""
        return self._connection.call(Importances, "GET", self._path(study, "importances"))

    def parallel(self, study: StudyRef, *, limit: int | None = None) -> Parallel:
        """Return at most `limit` ranked results as columns and rows, for charts and tables."""
        return self._connection.call(Parallel, "GET", self._path(study, "parallel"), params={"limit": limit})

    def timeline(self, study: StudyRef, *, limit: int | None = None) -> Timeline:
        """Return every attempt of the study's newest trials, at most `limit` trials."""
        return self._connection.call(Timeline, "GET", self._path(study, "timeline"), params={"limit": limit})

    def export(self, study: StudyRef, target: Path | str, *, format: Literal["csv", "parquet", "jsonl"] = "csv") -> str:  # noqa: A002
        """Write all trials to `target` and return the file's SHA-256 in hex.

        Args:
            study: Its name or id.
            target: File to write; its folder must exist.
            format: Of the file.
        """
        return download(self._connection, self._path(study, "export"), target, params={"format": format})

    def download_model(self, study: StudyRef, target: Path | str) -> str:
        """Write the best model (`.keras`) to `target` and return its SHA-256 in hex, which was checked.

        Raises:
            NotFoundError: There is no model yet.
            ConflictError: With code `digest_mismatch`; the target is as it was before.
        """
        return download(self._connection, self._path(study, "model"), target)
