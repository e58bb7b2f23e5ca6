"""Enqueuing clients: they write to a paused study without pause, so that a database that dies has commits in hand."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from hpsearch.client import Client
from hpsearch.errors import UnavailableError

_REPEAT_S: Final = 0.05
_GIVE_UP_S: Final = 60.0


@dataclass
class Enqueuers:
    """Threads that enqueue, each request repeated until it is answered.

    Attributes:
        made: Public ids of the trials that were acknowledged, by the key of the request.
        n_unknown: Requests whose first answer was that the outcome is unknown.
        n_committed: Those of them that had been committed all the same: the trial is older than the repetition.
    """

    url: str
    token: str
    study_id: str
    seed: int
    made: dict[str, str] = field(default_factory=dict)
    n_unknown: int = 0
    n_committed: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def start(self, n: int) -> None:
        """Let so many of them go."""
        for number in range(n):
            thread = threading.Thread(target=self._go, args=(number,), name=f"enqueuer-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> list[str]:
        """Stop them once what they sent is answered, and return what went wrong."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_GIVE_UP_S)
        return self._errors + [f"{thread.name} did not stop" for thread in self._threads if thread.is_alive()]

    def _go(self, number: int) -> None:
        rng = random.Random(f"{self.seed}-{number}")
        try:
            with Client(self.url, self.token, timeout=20) as client:
                while not self._stop.is_set():
                    self._enqueue(client, rng)
        except Exception as error:  # noqa: BLE001 - told to who stops them
            self._errors.append(f"enqueuer {number}: {error!r}")

    def _enqueue(self, client: Client, rng: random.Random) -> None:
        params = {"layers": 1, "units": rng.randint(4, 64), "learning_rate": rng.uniform(1e-4, 1e-1), "dropout": 0.0}
        key, refused_at = uuid.uuid4().hex, None
        deadline_s = time.monotonic() + _GIVE_UP_S
        while True:
            try:
                trial = client.studies.enqueue(self.study_id, params, idempotency_key=key)
                break
            except UnavailableError:
                refused_at = refused_at or datetime.now(UTC)
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(_REPEAT_S)
        with self._guard:
            self.made[key] = trial.trial_id
            self.n_unknown += refused_at is not None
            self.n_committed += refused_at is not None and trial.created_at < refused_at
