"""Suggestions made in a process of their own, so that a model fit never holds up the server's threads."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Final

import hpsearch
from hpsearch.domain.trial import Params
from hpsearch.errors import HpsearchError, UnavailableError
from hpsearch.interpreter import python_command
from hpsearch.sampling.importance import ImportanceRequest, Share
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.samplers.lookup import sampler_of
from hpsearch.sampling.suggest import suggest

# The working directory is not on the import path; the folder of this very package is added at the end instead.
_START: Final = "import sys; sys.path.append(sys.argv.pop(1)); from hpsearch.sampling.child import main; main()"
_ROOT: Final = str(Path(hpsearch.__file__).resolve().parent.parent)


class BackgroundSampler:
    """Answers suggestion requests in one child process, started in time for the first that needs a model.

    The first points of a Bayesian search, which no model chooses, are found in the caller's own thread and wait for
    nothing. Thread-safe; requests to the child wait for one another. It is started again whenever it has died, and
    keeps nothing between requests, so that its death costs nothing but time: an answer depends on the request alone.
    It ends when this process does, however that ends.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._child: _Child | None = None
        self._closed = False

    def suggest(self, study_id: str, request: SuggestRequest, *, timeout_s: float) -> list[Params]:
        """Return exactly `request.n` points, as `suggest` does.

        Blocks; a call that needs a model may also wait for the child's start (about 0.5 s): it is started beside the
        first call that knows a result.

        Args:
            study_id: Named in errors.
            request: Of any algorithm.
            timeout_s: Seconds to wait for earlier requests and for the answer, above 0.

        Raises:
            InvalidStudyError: No point of the space obeys the weight limit.
            UnavailableError: No answer in time, or the child died and so did the one started in its place; it has been
                ended and the next call starts another.
        """
        if sampler_of(request.algorithm.kind).explores(request):
            if any(observation.value is not None for observation in request.observations):
                self.warm()
            return suggest(request)
        points: list[Params] = self._answer(study_id, request, timeout_s)
        return points

    def warm(self) -> None:
        """Start the child process if there is none; returns at once, and the process loads its model meanwhile."""
        if not self._turn.acquire(blocking=False):
            return  # it is at work
        try:
            if self._child is None and not self._closed:
                with contextlib.suppress(OSError):  # the request that needs it says so
                    self._child = _Child()
        finally:
            self._turn.release()

    def importances(self, study_id: str, request: ImportanceRequest, *, timeout_s: float) -> list[Share]:
        """Return the shares of a study's parameters, as `importances` does; waits and fails as `suggest` does.

        Raises:
            UnavailableError: No answer in time.
        """
        shares: list[Share] = self._answer(study_id, request, timeout_s)
        return shares

    def _answer(self, study_id: str, request: SuggestRequest | ImportanceRequest, timeout_s: float) -> Any:
        deadline = time.monotonic() + timeout_s
        if not self._turn.acquire(timeout=timeout_s):
            raise _unavailable(study_id, f"other studies kept the sampler busy for {timeout_s:g} s")
        try:
            answer = self._ask(study_id, request, deadline, timeout_s)
        finally:
            self._turn.release()
        if isinstance(answer, HpsearchError):
            raise answer
        return answer

    def close(self) -> None:
        """End the child process; later requests raise `UnavailableError`. A request under way gets its answer first."""
        with self._turn:
            self._closed = True
            self._end()

    def _ask(
        self, study_id: str, request: SuggestRequest | ImportanceRequest, deadline: float, timeout_s: float
    ) -> Any:
        if self._closed:
            raise _unavailable(study_id, "the sampler is closed")
        if self._child is not None and not self._child.alive:
            self._end()
        # A child of an earlier call may be dying without our knowledge; one started now has no such excuse.
        excused = self._child is not None
        while True:
            try:
                if self._child is None:
                    self._child = _Child()
                return self._child.ask(request, deadline)
            except (OSError, EOFError) as error:
                reason = self._child.exit_report(deadline) if self._child is not None else str(error)
                self._end()
                if time.monotonic() >= deadline:
                    raise _unavailable(study_id, f"no answer within {timeout_s:g} s") from error
                if not excused:
                    raise _unavailable(study_id, reason) from error
                excused = False

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


class _Child:
    """One child process and its channel."""

    def __init__(self) -> None:
        mine, theirs = socket.socketpair()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        with theirs:
            # -W ignore: warnings are for the developers of this package, and the child has no one to show them to.
            arguments = ("-W", "ignore", "-c", _START, _ROOT, str(theirs.fileno()), str(os.getpid()))
            self._process = subprocess.Popen(
                python_command(*arguments),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
            )
        self._channel: Connection[Any, Any] = Connection(mine.detach())

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: SuggestRequest | ImportanceRequest, deadline: float) -> Any:
        """Return the answer; the child is killed at the deadline, which also frees a blocked send.

        Raises:
            EOFError, OSError: The child died or was killed.
        """
        watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), self._process.kill)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._channel.send(request)
            return self._channel.recv()
        finally:
            watchdog.cancel()

    def exit_report(self, deadline: float) -> str:
        """Return how the child ended, for people."""
        try:
            code = self._process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return "the sampling process closed its channel"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        end = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"the sampling process {end}" + (f" ({lines[-1]})" if lines else "")

    def end(self) -> None:
        self._channel.close()
        self._process.kill()  # it keeps nothing, and to take Optuna apart in order would take a moment
        self._process.wait()
        self._errors.close()


def _unavailable(study_id: str, reason: str) -> UnavailableError:
    return UnavailableError(f"no suggestion for study {study_id}: {reason}; try again", code="sampler.unavailable")
