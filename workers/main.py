"""Entry point of the worker process, with its signal handling: what `hpsearch worker` calls.

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
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from workers.log import configure
from workers.options import WorkerOptions
from workers.worker import Worker

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


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
    """Let SIGTERM and SIGINT stop the worker; without effect outside the main thread, where Python takes no signals.

    The handlers themselves do nothing: they run between any two instructions of the main thread, which may hold the
    very lock that stopping needs. Python writes each signal into a socket, and a thread acts on it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = socket.socketpair()
    writing.setblocking(False)  # noqa: FBT003 - the signature of sockets
    descriptor = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _ignore) for number in _SIGNALS}
    obeying = threading.Thread(target=_obey, args=(reading, worker), name="signals", daemon=True)
    obeying.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        writing.close()
        obeying.join()
        reading.close()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass


def _obey(reading: socket.socket, worker: Worker) -> None:
    """Stop the worker at the first signal, end the process at the second."""
    while received := reading.recv(1):
        number = received[0]
        if number not in _SIGNALS:
            continue
        if worker.stopping:
            worker.kill_trainers()
            os._exit(128 + number)
        worker.stop(signal.Signals(number).name)
