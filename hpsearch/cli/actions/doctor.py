"""Action of `doctor`: health checks of this machine, each with what to do where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

import httpx2

import hpsearch
from hpsearch import _layout
from hpsearch.cli import failure
from hpsearch.cli.console import emit, note
from hpsearch.cli.display.formatting import size
from hpsearch.cli.display.table_layout import Column
from hpsearch.cli.display.tables import print_table
from hpsearch.client import Client
from hpsearch.errors import ForbiddenError, HpsearchError, UnauthenticatedError
from hpsearch.interpreter import python_command
from hpsearch.local import server as local
from hpsearch.settings import Settings

Status = Literal["ok", "warn", "fail", "skip"]

_PYTHONS: Final = ((3, 11), (3, 14))
# What each extra brings: the packages that are told by name.
_PARTS: Final = {
    "server": ("fastapi", "sqlalchemy", "optuna", "uvicorn"),
    "worker": ("keras", "tensorflow", "numba"),
}
_FULL_BYTES: Final = 64 * 2**20
_SCARCE_BYTES: Final = 2 * 2**30
# Leases, token expiry and times on the page follow the server's and the database's clocks.
_SKEW_S: Final = 5.0
_PROBE_TIMEOUT_S: Final = 5.0
_TRAIN_TIMEOUT_S: Final = 600.0
_TRAIN: Final = (
    "from hpsearch import _layout; "
    "name, took_s = _layout.load('workers.training.conformance.first_trial').train_one(); "
    "print(f'{name} trained a small network in {took_s:.1f} s')"
)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        status: `ok`; `warn`, works but not well; `fail`, does not work; `skip`, not needed or not asked for here.
        found: What was found.
        advice: What to do; empty when nothing.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Wanted:
    """What to look at.

    Attributes:
        settings: Of the server on this machine.
        server: Address of a server elsewhere; None for the local one.
        token: For it; None for that of the data directory.
        trains: Whether to train a small network.
    """

    settings: Settings
    server: str | None
    token: str | None
    trains: bool


def doctor(
    server: str | None,
    token: str | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    trains: bool,
    as_json: bool,
) -> int:
    """Print a line for each thing looked at, and return 1 if one of them does not work.

    Raises:
        InvalidInputError: A setting is malformed.
    """
    wanted = Wanted(Settings.load(data_dir=data_dir, database_url=database_url), server, token, trains)
    checks = [check for look in _LOOKS for check in _safely(look, wanted)]
    failed = [check for check in checks if check.status == "fail"]
    if as_json:
        emit({"ok": not failed, "checks": [asdict(check) for check in checks]})
    else:
        print_table(
            [
                Column("check", [check.name for check in checks]),
                Column("status", [check.status for check in checks]),
                Column("found", [check.found for check in checks], folds=True),
                Column("what to do", [check.advice for check in checks], folds=True),
            ]
        )
        note(f"{len(failed)} of {len(checks)} checks failed." if failed else "Nothing failed.")
    return failure.FAILED if failed else failure.OK


Look = Callable[[Wanted], Iterator[Check]]


def _safely(look: Look, wanted: Wanted) -> Iterator[Check]:
    """Yield what a look finds; what goes wrong in it is a finding too."""
    try:
        yield from look(wanted)
    except Exception as error:  # noqa: BLE001 - whatever is broken here is what was asked for
        yield Check(look.__name__.strip("_").replace("_", " "), "fail", failure.sentence(error))


def _versions(_wanted: Wanted) -> Iterator[Check]:
    python = ".".join(str(part) for part in sys.version_info[:3])
    fits = _PYTHONS[0] <= sys.version_info[:2] < _PYTHONS[1]
    yield Check("python", "ok" if fits else "fail", python, "" if fits else "use Python 3.11, 3.12 or 3.13")
    yield Check("hpsearch", "ok", f"{hpsearch.__version__} in {Path(hpsearch.__file__).parent}")
    for extra, packages in _PARTS.items():
        found = {package: _version(package) for package in packages}
        there = ", ".join(f"{package} {version}" for package, version in found.items() if version)
        missing = [package for package, version in found.items() if version is None]
        if not there:
            yield Check(f"{extra} part", "skip", "not installed", f"if wanted here:  pip install 'hpsearch[{extra}]'")
        elif missing:
            lacking = f"{there}; missing: {', '.join(missing)}"
            yield Check(f"{extra} part", "fail", lacking, f"pip install 'hpsearch[{extra}]'")
        else:
            yield Check(f"{extra} part", "ok", there)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _has(extra: str) -> bool:
    return all(_version(package) for package in _PARTS[extra])


def _gpu(_wanted: Wanted) -> Iterator[Check]:
    if not _has("worker"):
        return
    devices = _layout.load("workers.devices")
    gpus, obstacle = devices.find_gpus(), devices.why_no_gpu()
    if obstacle is not None:
        yield Check("gpu", "warn", obstacle, "nvidia-smi must show the GPUs here; until then training uses the CPU")
    elif not gpus:
        yield Check("gpu", "ok", f"none: training uses {devices.cpu_cores()} CPU cores")
    elif _version("nvidia-cudnn-cu12") is None and _version("nvidia-cudnn-cu13") is None:
        names = ", ".join(gpu.name for gpu in gpus)
        yield Check(
            "gpu", "warn", f"{names}, but TensorFlow's CUDA packages are missing", "pip install 'hpsearch[gpu]'"
        )
    else:
        yield Check("gpu", "ok", ", ".join(gpu.name for gpu in gpus))


def _data_directory(wanted: Wanted) -> Iterator[Check]:
    folder = wanted.settings.data_dir
    if not folder.exists():
        yield Check(
            "data directory", "skip", f"{folder} is not there yet", "the first  hpsearch serve  or  run  makes it"
        )
        return
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Check(
            "data directory", "fail", f"{folder} can not be written to", "give it to this user, or use --data-dir"
        )
        return
    free = shutil.disk_usage(folder).free
    status: Status = "fail" if free < _FULL_BYTES else "warn" if free < _SCARCE_BYTES else "ok"
    advice = "" if status == "ok" else "make room: delete studies with  hpsearch delete, or move the folder"
    yield Check("data directory", status, f"{folder}, {size(free)} free", advice)


def _database(wanted: Wanted) -> Iterator[Check]:
    settings = wanted.settings
    if not _has("server"):
        return
    if not settings.database_url and not (settings.data_dir / "hpsearch.sqlite3").exists():
        yield Check("database", "skip", "none yet", "the first  hpsearch serve  or  run  makes it")
        return
    reached = _layout.load("hpsearch.storage.reach").reach(settings.resolved_database_url)
    if reached.revision == reached.head:
        yield Check("database", "ok", f"{reached.product}, schema {reached.revision}")
    elif reached.revision is not None and reached.revision > reached.head:
        found = f"{reached.product}, schema {reached.revision}; this version knows {reached.head}"
        yield Check("database", "fail", found, "install the version of hpsearch that made it, or a later one")
    else:
        found = f"{reached.product}, schema {reached.revision or 'empty'}; this version needs {reached.head}"
        yield Check("database", "warn", found, "hpsearch db upgrade  (hpsearch serve  does it, too)")
    if reached.skew_s is not None:
        yield _clock("clock of the database", reached.skew_s)


def _clock(name: str, skew_s: float) -> Check:
    if abs(skew_s) <= _SKEW_S:
        return Check(name, "ok", f"within {_SKEW_S:.0f} s of this machine's")
    ahead = "ahead of" if skew_s > 0 else "behind"
    return Check(
        name, "warn", f"{abs(skew_s):.0f} s {ahead} this machine's", "set both by NTP (timedatectl set-ntp true)"
    )


def _stored_files(wanted: Wanted) -> Iterator[Check]:
    settings = wanted.settings
    if not _has("server") or (not settings.database_url and not (settings.data_dir / "hpsearch.sqlite3").exists()):
        return
    health = _layout.load("hpsearch.service.content.store_health").content_health(settings)
    if health.is_usable:
        yield Check("stored files", "ok", f"{health.location} takes data sets and models and gives them back")
    elif health.is_set_up:
        yield Check("stored files", "fail", health.problem, "HPSEARCH_CONTENT says where it is; see the README")
    else:
        yield Check("stored files", "skip", health.problem, "hpsearch serve  sets it up")


def _server(wanted: Wanted) -> Iterator[Check]:
    url = wanted.server or local.find(wanted.settings)
    if url is None:
        advice = "hpsearch serve, or name one with --server"
        yield Check("server", "skip", "none named, and none runs for this data directory", advice)
        return
    try:
        before = time.time()
        answer = httpx2.get(f"{url.rstrip('/')}/healthz", timeout=_PROBE_TIMEOUT_S)
        middle = (before + time.time()) / 2
        answers = answer.is_success and answer.json().get("status") == "ok"
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, AttributeError) as error:
        advice = "is the address right, the server running, and the proxy's certificate known here?"
        yield Check("server", "fail", f"{url} does not answer ({type(error).__name__}: {error})", advice)
        return
    if not answers:
        yield Check("server", "fail", f"{url} answers {answer.status_code}, not as hpsearch does", "check the address")
        return
    with Client(url, wanted.token or local.known_token(url, wanted.settings)) as client:
        ready = client.ready()
        advice = "" if ready else f"see {url}/readyz and the server's log"
        yield Check("server", "ok" if ready else "fail", f"{url} {'is ready' if ready else 'is not ready'}", advice)
        if "date" in answer.headers:
            # The header tells whole seconds.
            yield _clock(
                "clock of the server", parsedate_to_datetime(answer.headers["date"]).timestamp() + 0.5 - middle
            )
        yield _token(client)


def _token(client: Client) -> Check:
    try:
        client.studies.list(limit=1)
    except UnauthenticatedError:
        advice = "whoever runs the server makes one with  hpsearch tokens create ; pass it as HPSEARCH_TOKEN"
        return Check("token", "fail", "none was given, or the server does not accept it", advice)
    except ForbiddenError:
        return Check("token", "ok", "valid; it may not read studies (a worker's may not)")
    except HpsearchError as error:
        return Check("token", "fail", error.message)
    return Check("token", "ok", "valid")


def _training(wanted: Wanted) -> Iterator[Check]:
    if not wanted.trains:
        yield Check("training", "skip", "not asked for", "hpsearch doctor --train  trains a small network")
        return
    if not _has("worker"):
        yield Check("training", "fail", "the worker's part is not installed", "pip install 'hpsearch[worker]'")
        return
    # In a process of its own: a broken driver or library may end it.
    done = subprocess.run(
        python_command("-c", _TRAIN),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TRAIN_TIMEOUT_S,
        check=False,
    )
    if done.returncode == 0:
        yield Check("training", "ok", done.stdout.strip().splitlines()[-1])
        return
    said = done.stderr.strip().splitlines()
    reason = said[-1] if said else f"the process ended with {done.returncode}"
    yield Check(
        "training", "fail", reason, "with --engine reference or without a GPU (CUDA_VISIBLE_DEVICES=-1) it may work"
    )


_LOOKS: Final[tuple[Look, ...]] = (
    _versions, _gpu, _data_directory, _database, _stored_files, _server, _training,
)  # fmt: skip
