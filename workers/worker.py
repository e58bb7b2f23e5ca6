"""Worker: composes session, threads and supervisor, and runs them from registration to shutdown."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import hpsearch
from hpsearch.client import Client
from hpsearch.errors import HpsearchError
from hpsearch.wire.workers import RegisterRequest
from workers import devices
from workers.assignments import Assignments
from workers.claimer import Claimer
from workers.log import logger
from workers.options import WorkerOptions
from workers.server.dataset_cache import DataCache
from workers.server.model_thresholds import ModelThresholds
from workers.server.model_uploader import ModelUploader
from workers.server.report_journal import ReportJournal
from workers.server.reporter import Reporter
from workers.server.server_session import ServerSession, WorkerStoppedError
from workers.shutdown import give_back
from workers.trainers.dispatcher import Dispatcher
from workers.trainers.supervisor import Supervisor
from workers.work_folder import make_folder

_REQUEST_TIMEOUT_S: Final = 30.0
_MAX_NAME_CHARACTERS: Final = 200
_MAX_DEVICES: Final = 64


class Worker:
    """One worker: registered once, training until it is stopped.

    Args:
        options: Checked ones.

    Raises:
        HpsearchError: The address, the token or the work folder can not be used.
    """

    def __init__(self, options: WorkerOptions) -> None:
        self._log: Any = logger()
        self._why = "done"
        client = _client(options)
        self._folder = make_folder(options.work_dir)
        gpus = devices.find_gpus()
        engine = devices.engine_for(options.engine, gpus)
        device_slots, self._sentence = devices.arrange(options.trainers, gpus, devices.cpu_cores(), engine)
        registration = RegisterRequest(
            name=_printable(options.name),
            version=hpsearch.__version__,
            devices=tuple(dict.fromkeys(slot.device for slot in device_slots))[:_MAX_DEVICES],
        )
        self._session = ServerSession(client, registration, give_up_s=options.unauthorized_give_up_s, log=self._log)
        self._assignments = Assignments()
        log, session, assignments = self._log, self._session, self._assignments
        thresholds = ModelThresholds()
        cache = DataCache(options.work_dir / "data")
        self._journal = ReportJournal.of_environment()
        self._uploader = ModelUploader(session=session, assignments=assignments, thresholds=thresholds, log=log)
        self._supervisor = Supervisor(
            device_slots=device_slots,
            options=replace(options, engine=engine),
            folder=self._folder,
            dispatcher=Dispatcher(thresholds, cache.dataset_of, self._folder),
            session=session,
            assignments=assignments,
            uploader=self._uploader,
            log=log,
        )
        self._claimer = Claimer(
            session=session,
            assignments=assignments,
            thresholds=thresholds,
            cache=cache,
            supervisor=self._supervisor,
            wait_s=options.wait_s,
            log=log,
        )
        self._reporter = Reporter(
            session=session,
            assignments=assignments,
            thresholds=thresholds,
            journal=self._journal,
            drop=self._supervisor.drop,
            progress=self._supervisor.progress,
            log=log,
        )
        self._supervisor.on_free = self._claimer.wake

    @property
    def stopping(self) -> bool:
        """Whether the worker has been told to stop."""
        return self._session.stop.is_set()

    def stop(self, why: str) -> None:
        """Tell the worker to stop; returns at once, and `run` some seconds later."""
        self._why = why
        self._session.stop.set()

    def kill_trainers(self) -> None:
        """End all trainer processes at once."""
        self._supervisor.kill()

    def run(self) -> None:
        """Work until stopped, then give back what is unfinished.

        Raises:
            HpsearchError: The worker can not work, or not any longer; the message is one sentence for the user.
        """
        self._log.info(self._sentence)
        try:
            # Trainers get ready while the first contact is made, for which the server may still be starting.
            self._supervisor.start()
            self._session.enter()
            for thread in (self._reporter, self._uploader, self._claimer):
                thread.start()
            self._supervisor.run()
        except WorkerStoppedError:
            pass
        except HpsearchError as error:
            self._session.fail(error)
        finally:
            self._end()
        if self._session.failure is not None:
            raise self._session.failure

    def _end(self) -> None:
        self._session.stop.set()
        self._assignments.wake()
        self._claimer.wake()
        why = self._why if self._session.failure is None else self._session.failure.message
        self._log.info("stopping", why=why, n_unfinished=len(self._assignments.held()))
        give_back(self._session, self._assignments, self._uploader, self._claimer, self._journal, self._log)
        self._supervisor.close()
        self._session.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._log.info("stopped")


def _client(options: WorkerOptions) -> Client | Callable[[], Client | None]:
    """Return the client of the server, or what returns it once there is one."""
    seek = options.seek
    if seek is None:
        return Client(options.server, options.token, timeout=_REQUEST_TIMEOUT_S)

    def sought() -> Client | None:
        found = seek()
        return None if found is None else Client(*found, timeout=_REQUEST_TIMEOUT_S)

    return sought


def _printable(name: str) -> str:
    shown = "".join(character for character in name if character.isprintable())[:_MAX_NAME_CHARACTERS]
    return shown or "worker"
