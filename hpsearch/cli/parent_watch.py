"""Parent watch: runs a command of hpsearch that must not outlive the process that started it.

`python -m hpsearch.cli.parent_watch PARENT_PID COMMAND …` is how `run` starts its local server and workers:
whatever becomes of the parent, kill -9 included, no server and no worker stays behind.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
from typing import Final, NoReturn

from hpsearch.local.environment import CPUS_VARIABLE
from hpsearch.processes import die_with_parent

# A worker gives its trials back within a few seconds of SIGTERM; a process that hangs is ended.
_GRACE_S: Final = 20.0


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
    """Watch the parent and run the rest of the command line."""
    die_with_parent(int(sys.argv[1]), grace_s=_GRACE_S)
    cpus = os.environ.pop(CPUS_VARIABLE, "")
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    # Nothing of what is imported is garbage soon; whoever has imported all it needs switches the collector on.
    gc.disable()
    from hpsearch.cli.main import run

    leave(run(sys.argv[2:]))


if __name__ == "__main__":
    main()
