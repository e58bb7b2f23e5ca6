"""WorkerThread: a thread whose failure ends the worker, so that none dies unnoticed."""

from __future__ import annotations

import threading
from typing import Any

from hpsearch.errors import HpsearchError
from workers.server.server_session import ServerSession, WorkerStoppedError


class WorkerThread(threading.Thread):
    """A thread that works until the session is stopped; whatever else ends it ends the worker.

    Args:
        name: Of the thread.
        session: Told of the end.
        log: Takes the traceback of a defect.
    """

    def __init__(self, name: str, session: ServerSession, log: Any) -> None:
        super().__init__(name=name, daemon=True)
        self.__session = session
        self.__log = log

    def work(self) -> None:
        """Do what the thread is for, until the session is stopped."""
        raise NotImplementedError

    def run(self) -> None:
        """Work, and make the worker fail if that fails."""
        try:
            self.work()
        except WorkerStoppedError:
            pass
        except HpsearchError as error:
            self.__session.fail(error)
        except Exception as error:  # noqa: BLE001 - a thread that dies unnoticed would leave a worker that only looks alive
            if not self.__session.stop.is_set():
                self.__log.exception(f"defect in the {self.name}")
            self.__session.fail(HpsearchError(f"the worker met a defect of its own: {error!r}", code="worker.defect"))
