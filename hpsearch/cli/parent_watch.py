"""Runs a command of hpsearch that must not outlive the process that started it.

`python -m hpsearch.cli.parent_watch PARENT_PID COMMAND …` is how `run` starts its local server and workers:
whatever becomes of the parent, kill -9 included, no server and no worker stays behind.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import os
import signal
import sys
import threading
import time
from typing import Final, NoReturn

from hpsearch.local.environment import CPUS_VARIABLE

_PR_SET_PDEATHSIG: Final = 1
_LOOK_EVERY_S: Final = 0.5
# A worker gives its trials back within a few seconds of SIGTERM; a process that hangs is ended.
GRACE_S: Final = 20.0


def tie(parent_pid: int) -> None:
    """Arrange that this process gets SIGTERM when its parent ends, and dies if it ignores that.

    Linux tells the child itself (prctl); elsewhere, and for processes that hang, a thread watches the parent.

    Args:
        parent_pid: Of the process that must live; one that is gone already ends this process at once.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the line above
        raise SystemExit(0)
    threading.Thread(target=_watch, args=(parent_pid,), name="leash", daemon=True).start()


def _watch(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_LOOK_EVERY_S)
    if sys.platform != "linux":
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def leave(code: int) -> NoReturn:
    """End this process now, with everything done that was asked for at its end.

    All that was open has been closed by then; to take the modules apart one by one would take half a second more.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - the only way to have them run before the short way out
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def main() -> None:
    """Tie this process to its parent and run the rest of the command line."""
    tie(int(sys.argv[1]))
    cpus = os.environ.pop(CPUS_VARIABLE, "")
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    # Nothing of what is imported is garbage soon; whoever has imported all it needs switches the collector on.
    gc.disable()
    from hpsearch.cli.main import run

    leave(run(sys.argv[2:]))


if __name__ == "__main__":
    main()
