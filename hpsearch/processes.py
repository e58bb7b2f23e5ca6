"""Die with parent: a child process that must not outlive the process that started it (`PR_SET_PDEATHSIG`, polling)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_POLL_S: Final = 0.5


def die_with_parent(parent_pid: int, *, grace_s: float = 0.0, poll_only: bool = False) -> None:
    """Arrange that this process ends when its parent does, `kill -9` included.

    Linux sends the signal itself, also while C code runs; elsewhere, and for what hangs after SIGTERM, a thread polls
    the parent's process id.

    Args:
        parent_pid: Of the process that started this one; if it is gone already, this process ends at once.
        grace_s: Seconds between SIGTERM and the end of a process that ignores it; 0 kills at once.
        poll_only: For children of a thread that may end before its process: Linux takes the end of the thread that
            started a child for the end of its parent.
    """
    by_kernel = sys.platform == "linux" and not poll_only
    if by_kernel:
        number = signal.SIGTERM if grace_s else signal.SIGKILL
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the line above
        os._exit(0)
    if grace_s or not by_kernel:
        arguments = (parent_pid, grace_s, not by_kernel)
        threading.Thread(target=_poll, args=arguments, name="parent-watch", daemon=True).start()


def _poll(parent_pid: int, grace_s: float, sends_signal: bool) -> None:  # noqa: FBT001 - a thread's arguments have no names
    while os.getppid() == parent_pid:
        time.sleep(_POLL_S)
    if grace_s:
        if sends_signal:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_s)
    os._exit(1)
