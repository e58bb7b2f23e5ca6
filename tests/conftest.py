"""What every test may use: a fresh database of either kind, settings, an opened context, a clock held still."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import hypothesis
import pytest

from tests.databases import PID_VARIABLE, RunDirectory, fresh_database
from tests.postgres import NoPostgresError
from tests.required import lacking
from workers.training.fused.graph.xla_flags import compile_exactly

if TYPE_CHECKING:
    from hpsearch.clock import ManualClock
    from hpsearch.service.context import Context
    from hpsearch.settings import Settings

_RUN_VARIABLE: Final = "HPSEARCH_TEST_RUN"
# Set where a run without PostgreSQL must fail, as it must in CI.
_REQUIRE_VARIABLE: Final = "HPSEARCH_TEST_REQUIRE_PG"
_PROCESS_BYTES: Final = 2 * 2**30
_HERE: Final = Path(__file__).parent
# Takes minutes, by TensorFlow, a browser, or the product as processes of its own; its lines of hpsearch/ and api/ are
# run and measured by the tests of each room as well. Measuring them here, too, would take a third more time.
_UNMEASURED: Final = tuple(
    _HERE / name for name in ("api/web/browser", "benchmarks", "chaos", "docs", "e2e", "queue_properties", "workers")
)
# Has processes measure themselves; set by coverage.
_MEASURE_VARIABLE: Final = "COVERAGE_PROCESS_CONFIG"
_BACKENDS: Final = ("sqlite", "postgresql")

hypothesis.settings.register_profile("hpsearch", deadline=None, print_blob=True, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("hpsearch")


def pytest_xdist_auto_num_workers() -> int:
    """Return one process per core and one more, up to eight, as far as memory goes: TensorFlow takes its share in each.

    One more, for tests of processes wait for these a third of their time.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(cores + 1, 8, memory_bytes // _PROCESS_BYTES))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that the run does not end with all but one process idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow") is not None}
    items.sort(key=lambda item: item.path not in slow and not _is_of_whole_processes(item.path))


def _is_of_whole_processes(path: Path) -> bool:
    return any(path.is_relative_to(folder) for folder in _UNMEASURED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Where coverage is measured, measure the tests of the rooms alone."""
    config = os.environ.get(_MEASURE_VARIABLE)
    if config is None or not _is_of_whole_processes(item.path):
        return (yield)
    tracers = sys.gettrace(), threading.gettrace()
    del os.environ[_MEASURE_VARIABLE]
    sys.settrace(None)
    threading.settrace(None)
    try:
        return (yield)
    finally:
        os.environ[_MEASURE_VARIABLE] = config
        threading.settrace(tracers[1])
        sys.settrace(tracers[0])


def pytest_configure(config: pytest.Config) -> None:
    """Begin the run: nothing of the user's own settings or data is seen, and all processes know where to meet."""
    if hasattr(config, "workerinput"):
        return
    for name in [name for name in os.environ if name.startswith("HPSEARCH_") and not name.startswith("HPSEARCH_TEST_")]:
        del os.environ[name]
    run = Path(tempfile.mkdtemp(prefix="hpsearch-tests-"))
    os.environ[_RUN_VARIABLE] = str(run)
    os.environ[PID_VARIABLE] = str(os.getpid())
    os.environ["XDG_DATA_HOME"] = str(run / "data")
    os.environ["KERAS_HOME"] = str(run / "keras")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # XLA reads its flags once in a process, and any test may be the first that compiles.
    compile_exactly()


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run: stop the server and delete what it left."""
    if not hasattr(config, "workerinput") and _RUN_VARIABLE in os.environ:
        RunDirectory(Path(os.environ.pop(_RUN_VARIABLE))).end()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which PostgreSQL was used, or loudly that there was none."""
    known = RunDirectory(Path(os.environ[_RUN_VARIABLE])).known_server()
    if known is None:
        return
    if "error" in known:
        terminalreporter.section("PostgreSQL", sep="!", red=True, bold=True)
        terminalreporter.line(f"THE TESTS OVER POSTGRESQL DID NOT RUN: {known['error']}", red=True)
    else:
        terminalreporter.line(f"PostgreSQL {known['version']}: {known['origin']}")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that needs PostgreSQL and had none."""
    if hasattr(session.config, "workerinput") or not os.environ.get(_REQUIRE_VARIABLE):
        return
    known = RunDirectory(Path(os.environ[_RUN_VARIABLE])).known_server()
    if known is not None and "error" in known and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def run_directory() -> RunDirectory:
    """What the processes of this test run share."""
    return RunDirectory(Path(os.environ[_RUN_VARIABLE]))


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from hpsearch.storage.migrate import upgrade

    path = tmp_path_factory.mktemp("template") / "template.sqlite3"
    upgrade(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, _migrated_sqlite: Path) -> str:
    """A fresh SQLite database with the newest schema."""
    path = tmp_path / "hpsearch.sqlite3"
    shutil.copyfile(_migrated_sqlite, path)
    return f"sqlite:///{path}"


def _postgres(run: RunDirectory, *, migrated: bool) -> Iterator[str]:
    try:
        run.server()
    except NoPostgresError as error:
        # Said again in the last lines of the run, and an error where PostgreSQL is required.
        lacking("PG", str(error))
    with fresh_database(run, migrated=migrated) as url:
        yield url


@pytest.fixture
def postgres_url(run_directory: RunDirectory) -> Iterator[str]:
    """A fresh PostgreSQL database with the newest schema."""
    yield from _postgres(run_directory, migrated=True)


@pytest.fixture(params=_BACKENDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with the newest schema; each test runs once over SQLite and once over PostgreSQL."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(params=_BACKENDS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path, run_directory: RunDirectory) -> Iterator[str]:
    """A fresh database with nothing in it, for tests of migrations; over SQLite and over PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    else:
        yield from _postgres(run_directory, migrated=False)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a service on a fresh database, with the default rhythm."""
    from hpsearch.settings import Settings

    return Settings(data_dir=tmp_path / "data", database_url=database_url)


@pytest.fixture
def context(settings: Settings) -> Iterator[Context]:
    """An opened service on a fresh database and the machine's own clock."""
    from hpsearch.service.context import Context

    opened = Context.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that moves only when told to."""
    from hpsearch.clock import ManualClock

    return ManualClock()


@pytest.fixture
def manual_context(settings: Settings, manual_clock: ManualClock) -> Iterator[Context]:
    """An opened service on a fresh database, in which time stands still until `manual_clock.advance`."""
    from hpsearch.service.context import Context

    opened = Context.open(settings, clock=manual_clock)
    yield opened
    opened.close()
