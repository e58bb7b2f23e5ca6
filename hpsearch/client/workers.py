"""Workers over HTTP: their own requests (register, claim, report), and the fleet for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hpsearch.client.checked import checked
from hpsearch.client.connection import Connection, segment
from hpsearch.client.files import content_digest, file_sha256, opened
from hpsearch.client.paging import walk
from hpsearch.wire.claims import ClaimReply, ClaimRequest
from hpsearch.wire.pages import Page
from hpsearch.wire.reports import ReportReply, ReportRequest
from hpsearch.wire.workers import RegisterReply, RegisterRequest, WorkerView


@checked
class Workers:
    """The workers of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, request: RegisterRequest) -> RegisterReply:
        """Introduce a worker process and return its id and rhythm."""
        return self._connection.call(RegisterReply, "POST", "/v1/workers", body=request)

    def claim(self, worker_id: str, request: ClaimRequest) -> ClaimReply:
        """Return trials to train; waits up to `request.wait_s` for some, empty after that."""
        return self._connection.call(
            ClaimReply, "POST", _path(worker_id, "claims"), body=request, repeatable=True, wait_s=request.wait_s
        )

    def report(self, worker_id: str, request: ReportRequest) -> ReportReply:
        """Renew leases, deliver epochs and complete trials; return what became of each.

        Raises:
            StaleAttemptError: The only trial reported on has gone to another attempt.
            ResultConflictError: The only trial reported on already has another result of this attempt.
        """
        return self._connection.call(ReportReply, "POST", _path(worker_id, "reports"), body=request, repeatable=True)

    def upload_model(self, worker_id: str, trial_id: str, attempt: int, model: Path) -> None:
        """Store the model of a trial that is about to be reported COMPLETE.

        Raises:
            StaleAttemptError: The attempt is no longer the current one.
            LimitError: The file is larger than the server takes.
        """
        digest = content_digest(bytes.fromhex(file_sha256(model)))
        path = _path(worker_id, "trials", segment(trial_id), "model")
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": digest}
        with opened(model) as file:
            self._connection.upload("PUT", path, params={"attempt": attempt}, content=file, headers=headers)

    def list(self, *, limit: int | None = None, page_token: str | None = None) -> Page[WorkerView]:
        """Return a page of the fleet."""
        params = {"limit": limit, "page_token": page_token}
        return self._connection.call(Page[WorkerView], "GET", "/v1/workers", params=params)

    def all(self) -> Iterator[WorkerView]:
        """Iterate over the whole fleet, page by page."""
        return walk(lambda token: self.list(page_token=token))

    def get(self, worker_id: str) -> WorkerView:
        """Return one worker."""
        return self._connection.call(WorkerView, "GET", _path(worker_id))

    def drain(self, worker_id: str) -> WorkerView:
        """Let a worker finish what it holds and claim no more."""
        return self._connection.call(WorkerView, "POST", _path(worker_id, "drain"), repeatable=True)

    def enable(self, worker_id: str) -> WorkerView:
        """Let a worker claim again."""
        return self._connection.call(WorkerView, "POST", _path(worker_id, "enable"), repeatable=True)

    def disable(self, worker_id: str) -> WorkerView:
        """Take a worker's trials away and refuse its claims."""
        return self._connection.call(WorkerView, "POST", _path(worker_id, "disable"), repeatable=True)


def _path(worker_id: str, *rest: str) -> str:
    return "/".join(("/v1/workers", segment(worker_id), *rest))
