"""Signal handlers: SIGINT, SIGTERM and SIGHUP all stop the command line in one orderly way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ASKED: Final = threading.Event()


@contextmanager
def stop_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into what Ctrl-C is, which then also works where a shell has masked it.

    Raises:
        KeyboardInterrupt: Inside the block, at any of them.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        _ASKED.set()
        raise KeyboardInterrupt

    wanted = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup means it
        wanted.append(signal.SIGHUP)
    _ASKED.clear()
    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _ASKED.clear()


def stop_if_asked() -> None:
    """Do what a signal has asked for if nothing came of it; to be called by every loop inside `stop_signals`.

    An exception raised by a signal is lost where Python can only report it, as in a finaliser.

    Raises:
        KeyboardInterrupt: A signal has come.
    """
    if _ASKED.is_set():
        raise KeyboardInterrupt
