"""Options of one worker, checked."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hpsearch.errors import InvalidInputError

ENGINES: Final = ("auto", "native", "fused", "reference", "stub")
# The stub invents its results, so nobody may get it by a slip of the keyboard.
STUB_VARIABLE: Final = "HPSEARCH_STUB_ENGINE"
MAX_TRAINERS: Final = 256


def default_work_dir() -> Path:
    """Return the platform's cache directory for workers: everything in it can be fetched again."""
    import platformdirs  # noqa: PLC0415 - only the default needs it

    return Path(platformdirs.user_cache_dir("hpsearch", appauthor=False)) / "worker"


@dataclass(frozen=True)
class WorkerOptions:
    """How to run a worker.

    Attributes:
        server: `http://host:port` or `https://host`.
        token: Bearer token with the scope `worker`.
        seek: Returns address and token once there is a server, None before: instead of the two above, for a worker that
            is started beside its server and gets ready meanwhile.
        name: For people; the host name by default.
        trainers: Trainer processes; None for one per GPU; on the CPU one, or one per core for `reference`.
        engine: `native` trains one trial on each CPU core, `fused` many at once as one program; `auto` is native on a
            CPU and fused on a GPU; `reference` trains one at a time with plain Keras, whatever a study names; `stub`
            invents results, for tests, and needs HPSEARCH_STUB_ENGINE=1.
        work_dir: Downloaded data and models on their way; safe to share between workers and to delete.
        max_idle_s: Seconds without any trial after which the worker ends by itself; None stays for ever.
        log_json: Log lines as JSON instead of text.
        wait_s: Seconds a claim waits on the server for work.
        max_growth_bytes: A trainer whose memory grew by this much since its first trial is replaced between trials.
        max_memory_bytes: A trainer above this is replaced between trials; None for no such limit.
        start_timeout_s: Seconds a trainer may take until it is ready.
        unauthorized_give_up_s: Seconds of uninterrupted refusal of the token, after the first success, before the
            worker ends.
    """

    server: str = ""
    token: str | None = None
    seek: Callable[[], tuple[str, str | None] | None] | None = None
    name: str = field(default_factory=lambda: socket.gethostname() or "worker")
    trainers: int | None = None
    engine: str = "auto"
    work_dir: Path = field(default_factory=default_work_dir)
    max_idle_s: float | None = None
    log_json: bool = False
    wait_s: float = 5.0
    max_growth_bytes: int = 1536 * 2**20
    max_memory_bytes: int | None = None
    start_timeout_s: float = 300.0
    unauthorized_give_up_s: float = 900.0

    def checked(self, environment: Mapping[str, str] | None = None) -> WorkerOptions:
        """Return these options.

        Raises:
            InvalidInputError: One of them can not be used; the message says which and why.
        """
        environment = os.environ if environment is None else environment
        if self.engine not in ENGINES:
            msg = f"unknown engine {self.engine!r}; known are auto, native, fused and reference"
            raise InvalidInputError(msg, code="worker.bad_option")
        if self.engine == "stub" and environment.get(STUB_VARIABLE) != "1":
            msg = f"the engine stub invents its results and is for tests only; set {STUB_VARIABLE}=1 to allow it"
            raise InvalidInputError(msg, code="worker.bad_option")
        if self.trainers is not None and not 1 <= self.trainers <= MAX_TRAINERS:
            msg = f"trainers must be from 1 to {MAX_TRAINERS}, received {self.trainers}"
            raise InvalidInputError(msg, code="worker.bad_option")
        if self.max_idle_s is not None and self.max_idle_s <= 0:
            msg = f"max_idle_s must be above 0, received {self.max_idle_s}"
            raise InvalidInputError(msg, code="worker.bad_option")
        return self
