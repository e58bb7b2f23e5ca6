"""ServerSession: registration with the server, and retries with backoff for as long as an outage lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from hpsearch.client import Backoff, Client
from hpsearch.client.backoff import asked_wait_s
from hpsearch.errors import ForbiddenError, HpsearchError, NotFoundError, UnauthenticatedError
from hpsearch.wire.workers import RegisterRequest

Result = TypeVar("Result")

# Refusals that say: this worker id means nothing here (any more).
_UNKNOWN_WORKER: Final = frozenset({"worker.not_found", "worker.foreign"})
# Answers of something between here and the server, or of one that is half started.
_ODD_ANSWERS: Final = frozenset({"server.redirect", "server.not_understood"})
_MAX_WAIT_S: Final = 30.0
_SEEK_EVERY_S: Final = 0.02
# While the server is away, the log says so this often.
_REMIND_S: Final = 60.0


class WorkerStoppedError(Exception):
    """The worker was told to stop while it waited."""


class ServerSession:
    """The connection to the server, with this worker's registration.

    Args:
        client: To the server; or what returns it once there is a server, and None before.
        registration: What to register with.
        give_up_s: Seconds of uninterrupted refusal of the token before `failure` is set and the worker stopped.
        log: Takes the lines.

    Attributes:
        stop: Set when the worker stops; every wait ends.
        failure: Why the worker must end by itself; None as long as it need not.
        worker_id: Given by the server; changes when the server has forgotten it.
        heartbeat_s: Seconds between reports while trials run.
        lease_s: Seconds until an unreported trial may go to another worker.
        hears_slots: Whether the server understands how many slots a worker has.
        hears_stage: Whether it understands what a worker does with its trials.
    """

    def __init__(
        self,
        client: Client | Callable[[], Client | None],
        registration: RegisterRequest,
        *,
        give_up_s: float,
        log: Any,
    ) -> None:
        self.client: Client
        self._seek: Callable[[], Client | None] | None = None
        if isinstance(client, Client):
            self.client = client
        else:
            self._seek = client
        self.stop = threading.Event()
        self.failure: HpsearchError | None = None
        self.worker_id = ""
        self.heartbeat_s = 10.0
        self.lease_s = 60.0
        self.hears_slots = False
        self.hears_stage = False
        self._registration = registration
        self._give_up_s = give_up_s
        self._log = log
        self._lock = threading.Lock()
        self._registering = threading.Lock()
        self._away_since_s: float | None = None
        self._refused_since_s: float | None = None
        self._reminded_s = 0.0

    def enter(self) -> None:
        """Register for the first time, waiting for the server as long as it takes.

        Raises:
            UnauthenticatedError: The token is not valid.
            ForbiddenError: The token may not be used by workers.
            HpsearchError: What answers is no server of ours.
            WorkerStoppedError: Told to stop meanwhile.
        """
        while self._seek is not None:
            if (client := self._seek()) is not None:
                self.client, self._seek = client, None
            elif self.stop.wait(_SEEK_EVERY_S):
                raise WorkerStoppedError
        self._retrying(self._register, is_first=True)

    def close(self) -> None:
        """Give the connections back."""
        if self._seek is None:
            self.client.close()

    def retrying(self, call: Callable[[str], Result]) -> Result:
        """Return what the call returns, repeated for as long as it takes.

        Args:
            call: Gets the worker id; must be safe to repeat.

        Raises:
            HpsearchError: A refusal that repeating can not change.
            WorkerStoppedError: Told to stop meanwhile.
        """
        return self._retrying(lambda: self._known(call), is_first=False)

    def _known(self, call: Callable[[str], Result]) -> Result:
        worker_id = self.worker_id
        try:
            return call(worker_id)
        except (NotFoundError, ForbiddenError) as error:
            if error.code not in _UNKNOWN_WORKER:
                raise
        with self._registering:
            if self.worker_id == worker_id:
                self._log.warning("the server does not know this worker any more: registering again")
                self._register()
        return call(self.worker_id)

    def _register(self) -> None:
        reply = self.client.workers.register(self._registration)
        self.worker_id, self.heartbeat_s, self.lease_s = reply.worker_id, reply.heartbeat_s, reply.lease_s
        self.hears_slots, self.hears_stage = reply.hears_slots, reply.hears_stage
        self._log.info(f"registered at {self.client.url}", worker_id=reply.worker_id, lease_s=reply.lease_s)

    def _retrying(self, call: Callable[[], Result], *, is_first: bool) -> Result:
        # A worker that holds trials must be back before their leases lapse.
        backoff = Backoff(most_s=min(_MAX_WAIT_S, self.lease_s / 2))
        while not self.stop.is_set():
            try:
                result = call()
            except HpsearchError as error:
                wait_s = self._wait_s(error, is_first=is_first)
                if wait_s is None:
                    raise
                pause_s = backoff.next_s(wait_s)
                self._on_failure(error, pause_s)
                self.stop.wait(pause_s)
            else:
                self._on_recovered()
                return result
        raise WorkerStoppedError

    def _wait_s(self, error: HpsearchError, *, is_first: bool) -> float | None:
        """Return the seconds the error asks to wait, or None when it is final."""
        if (asked_s := asked_wait_s(error)) is not None:
            return asked_s
        if is_first:
            return None
        # A token that worked may be replaced, a proxy may be restarted: the trials in training are worth waiting.
        is_passing = isinstance(error, UnauthenticatedError) or error.code in _ODD_ANSWERS
        return 0.0 if is_passing or error.code == "auth.missing_scope" else None

    def _on_failure(self, error: HpsearchError, pause_s: float) -> None:
        now_s = time.monotonic()
        is_refusal = isinstance(error, UnauthenticatedError | ForbiddenError)
        with self._lock:
            self._refused_since_s = (self._refused_since_s or now_s) if is_refusal else None
            is_new = self._away_since_s is None
            self._away_since_s = self._away_since_s or now_s
            is_due = is_new or now_s - self._reminded_s >= _REMIND_S
            if is_due:
                self._reminded_s = now_s
            is_hopeless = self._refused_since_s is not None and now_s - self._refused_since_s >= self._give_up_s
        if is_due:
            away_s = round(now_s - (self._away_since_s or now_s))
            self._log.warning(f"{error.message}: trying again", next_try_s=round(pause_s, 1), away_s=away_s)
        if is_hopeless:
            self.fail(error)

    def _on_recovered(self) -> None:
        with self._lock:
            away_since_s, self._away_since_s, self._refused_since_s = self._away_since_s, None, None
        if away_since_s is not None:
            self._log.info("the server answers again", away_s=round(time.monotonic() - away_since_s, 1))

    def fail(self, error: HpsearchError) -> None:
        """Make the worker end because of an error; the first one counts."""
        if not self.stop.is_set():
            self.failure = self.failure or error
        self.stop.set()
