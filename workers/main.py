"""The worker process: what `hpsearch worker` calls.

    from workers.main import run_worker
    from workers.options import WorkerOptions

    raise SystemExit(run_worker(WorkerOptions(server="http://127.0.0.1:8000", token="hps_…", trainers=None)))

`run_worker(options: WorkerOptions) -> int` returns 0 after SIGTERM, SIGINT or `max_idle_s`, and raises one of the
errors of `hpsearch.errors` (one sentence each) when it can not work at all: a bad option or address, a token refused
at first contact, a trainer that can not start. A server that is down is no such reason: the worker waits for it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from workers.log import configure
from workers.options import WorkerOptions
from workers.worker import Worker


def run_worker(options: WorkerOptions) -> int:
    """Work until told to stop, and return the exit code.

    To be called from the main thread. SIGTERM and SIGINT give the running trials back and end the worker within a few
    seconds; a second one ends it at once.

    Args:
        options: Where the server is and how to work.

    Raises:
        HpsearchError: It can not work at all; the message is one sentence for the user.
    """
    configure(as_json=options.log_json)
    worker = Worker(options.checked())
    with _signals(worker):
        worker.run()
    return 0


@contextmanager
def _signals(worker: Worker) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        if worker.stopping:
            worker.kill_trainers()
            os._exit(128 + number)
        worker.stop(signal.Signals(number).name)

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
