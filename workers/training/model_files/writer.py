"""ModelWriter: a process of its own that writes model files with Keras, started when first needed, gone when idle."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Final

from hpsearch.domain.trial import Outcome
from hpsearch.interpreter import python_command
from workers.training.model_files.child import Order, Reply

_PROGRAM: Final = "from hpsearch import _layout; _layout.load('workers.training.model_files.child').main()"
# Seconds without an order after which the process gives its half gigabyte back.
_IDLE_S: Final = 60.0
_LOST: Final = Outcome(
    state="FAILED",
    cause="crashed",
    detail="the process that writes model files ended twice while it wrote this one (out of memory, or killed by hand)",
)


class ModelWriter:
    """Writes one model file after another; to be used from one thread at a time.

    Args:
        idle_s: Seconds without an order after which the process ends.
    """

    def __init__(self, idle_s: float = _IDLE_S) -> None:
        self._idle_s = idle_s
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._used_s = 0.0
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process, if it does not run; it is ready some seconds later."""
        with self._lock:
            self._start()
            self._watch()

    def write(self, order: Order) -> Reply:
        """Write a file and return what became of it; a process that dies over it is started once more."""
        with self._lock:
            for _ in range(2):
                self._start()
                with suppress(OSError, EOFError):
                    if self._connection is not None:
                        self._connection.send(order)
                        reply: Reply = self._connection.recv()
                        self._used_s = time.monotonic()
                        self._watch()
                        return reply
                self._end()
            return Reply(_LOST, None)

    def _watch(self) -> None:
        """Look after the process once it has had nothing to do for long."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = threading.Timer(self._idle_s, self._rest)
        self._timer.daemon = True
        self._timer.start()

    def _rest(self) -> None:
        with self._lock:
            if time.monotonic() - self._used_s >= self._idle_s:
                self._end()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _start(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        ours, theirs = Pipe()
        quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
        self._process = subprocess.Popen(
            python_command("-c", _PROGRAM, str(os.getpid()), str(theirs.fileno())),
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env=os.environ | quiet,
        )
        theirs.close()
        self._connection = ours
        self._used_s = time.monotonic()

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
