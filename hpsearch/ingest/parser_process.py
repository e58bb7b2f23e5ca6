"""Running the parser of uploads in a child process that may fail, hang or be killed without harm."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import structlog
from pydantic import ValidationError

from hpsearch.domain.dataset import DatasetProfile
from hpsearch.errors import InvalidDatasetError, UnavailableError
from hpsearch.ingest.machine import memory_of_machine
from hpsearch.interpreter import python_command

if TYPE_CHECKING:
    from pathlib import Path

    from hpsearch.domain.task import TaskName

_log = structlog.get_logger(__name__)

# Parsers reserve 1.5 to 2 GiB of addresses that they never touch. Beyond these each may use 6 GiB, and all at once half
# of the machine's memory. Measured: 100 million cells of CSV, and a CSV of 1 GiB, each took 3.2 GiB and 9 to 13 s of
# processor time.
_RESERVED_BYTES: Final = 2 << 30
_MOST_BYTES: Final = 6 << 30
_N_AT_ONCE: Final = 2
_MACHINE_SHARE: Final = 0.5
_places = threading.BoundedSemaphore(_N_AT_ONCE)
# Processor time first: a parser that hangs in a loop ends by it, while a busy machine only makes the clock run longer.
_LEAST_CPU_S: Final = 40
_LEAST_WALL_S: Final = 60.0
_BYTES_PER_S: Final = 8 << 20
_INHERITED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
_UNUSABLE: Final = "dataset.unreadable"
# What the allocator under polars writes when there is no more.
_OUT_OF_MEMORY: Final = b"memory allocation"
# As Rust and Python end what they say of a full disk; polars keeps nothing else of it.
_NO_ROOM: Final = tuple(
    sign % number for number in (errno.ENOSPC, errno.EDQUOT) for sign in (b"(os error %d)", b"[Errno %d]")
)


def _memory_bytes() -> int:
    each = int(memory_of_machine() * _MACHINE_SHARE / _N_AT_ONCE)
    return _RESERVED_BYTES + min(_MOST_BYTES, each)


@dataclass(frozen=True)
class Limits:
    """What the child process may use.

    Attributes:
        memory_bytes: Address space.
        cpu_s: Processor time over all its threads, whole seconds.
        wall_s: From start to end, seconds.
    """

    memory_bytes: int = field(default_factory=_memory_bytes)
    cpu_s: int = _LEAST_CPU_S
    wall_s: float = _LEAST_WALL_S

    @classmethod
    def for_file(cls, path: Path) -> Limits:
        """Return limits with times that grow with the size of the file, by a second for each 8 MiB."""
        more_s = path.stat().st_size / _BYTES_PER_S
        return cls(cpu_s=int(_LEAST_CPU_S + more_s), wall_s=_LEAST_WALL_S + more_s)


def parse_apart(
    path: Path, content: Path, *, target: str | None, task: TaskName | None, limits: Limits
) -> DatasetProfile:
    """Return the profile of a file after a child process has parsed it and written its stored form.

    Two are parsed at a time; whoever comes then waits here.

    Args:
        path: The uploaded file.
        content: Where the stored form goes; must not exist. The caller removes it after an error.
        target: As for `ingest_upload`.
        task: As for `ingest_upload`.
        limits: Of the child.

    Raises:
        InvalidDatasetError: What the parser says, or that it ran out of time or memory or crashed.
        OSError: There is no room for the stored form.
        UnavailableError: The child process could not be started.
    """
    with _places:
        return _parse(path, content, target=target, task=task, limits=limits)


def _parse(path: Path, content: Path, *, target: str | None, task: TaskName | None, limits: Limits) -> DatasetProfile:
    order = {"path": str(path), "content": str(content), "target": target, "task": task, "limits": asdict(limits)}
    command = python_command("-m", "hpsearch.ingest.child")
    try:
        # A session of its own: nothing typed at the server's terminal reaches it, and all of it can be ended at once.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
            start_new_session=True,
        )
    except OSError as error:
        _log.warning("ingest.start_failed", error=str(error))
        msg = "the parser of uploads could not be started; try again later"
        raise UnavailableError(msg, retry_after_s=5.0) from error
    with process:
        try:
            answer, complaint = process.communicate(json.dumps(order).encode(), timeout=limits.wall_s)
        except subprocess.TimeoutExpired:
            complaint = _end(process)
            if _OUT_OF_MEMORY in complaint:
                # A failed allocation usually ends the child; now and then it leaves a thread waiting for ever.
                return _profile(b"", complaint, -signal.SIGABRT)
            msg = f"the file could not be read within {limits.wall_s:.0f} s; send a smaller one, or check it for damage"
            raise InvalidDatasetError(msg, code="dataset.too_slow") from None
        except BaseException:
            _end(process)
            raise
    return _profile(answer, complaint, process.returncode)


def _environment() -> dict[str, str]:
    """Return few variables of this process and none of its secrets."""
    kept = {key: value for key, value in os.environ.items() if key in _INHERITED or key.startswith("COVERAGE")}
    # Each thread of the parser's pools reserves addresses; one leaves the cores to the server, and fails cleanly.
    threads = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return kept | threads | {"RUST_BACKTRACE": "0"}


def _end(process: subprocess.Popen[bytes]) -> bytes:
    """End the child with all it started and return what it wrote to standard error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    return process.communicate()[1]


def _profile(answer: bytes, complaint: bytes, status: int) -> DatasetProfile:
    try:
        reply = json.loads(answer)
    except ValueError:
        reply = {}
    if status == 0 and "profile" in reply:
        try:
            return DatasetProfile.model_validate(reply["profile"])
        except ValidationError as error:
            _log.warning("ingest.bad_profile", error=str(error)[:2_000])
    if "error" in reply:
        said = reply["error"]
        raise InvalidDatasetError(str(said["message"]), code=str(said["code"]), details=said["details"])
    _log.warning("ingest.child_died", status=status, stderr=complaint[-2_000:].decode("utf-8", errors="replace"))
    if any(sign in complaint for sign in _NO_ROOM):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if _OUT_OF_MEMORY in complaint or b"MemoryError" in complaint:
        msg = "the file needs more memory than a data set may; leave out rows or columns, or check it for damage"
        raise InvalidDatasetError(msg, code="dataset.too_large")
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        msg = "the file takes too long to read; send a smaller one, or check it for damage"
        raise InvalidDatasetError(msg, code="dataset.too_slow")
    msg = "the file is damaged: its reader gave up on it; write it again, or send it as CSV"
    raise InvalidDatasetError(msg, code=_UNUSABLE)
