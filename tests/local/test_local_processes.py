"""The processes: what is started again, what is given up, what the user is told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hpsearch.local import local_processes
from hpsearch.local import server as local
from hpsearch.local.environment import BESIDE_VARIABLE, CPUS_VARIABLE
from hpsearch.local.local_processes import (
    MAX_QUICK_DEATHS,
    MAX_SERVER_RESTARTS,
    QUICK_S,
    LocalProcesses,
    default_trainers,
)
from hpsearch.settings import Settings

pytestmark = pytest.mark.usefixtures("world")


@dataclass
class FakeChild:
    """A process that lives and dies as the test says."""

    name: str
    arguments: list[str]
    environment: dict[str, str | None] = field(default_factory=dict)
    is_alive: bool = True
    age_s: float = 5.0
    told_to_go: bool = False

    @property
    def process(self) -> FakeChild:
        return self

    def terminate(self) -> None:
        self.told_to_go = True

    def exit_report(self) -> str:
        return f"The {self.name} ended with exit code 1: out of luck"

    def die(self, age_s: float = 5.0) -> None:
        self.is_alive, self.age_s = False, age_s


@dataclass
class World:
    """What was done to its children."""

    started: list[FakeChild] = field(default_factory=list)
    stopped: list[tuple[str, float]] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    url: str = "http://127.0.0.1:5000"
    ports: list[int] = field(default_factory=list)
    refuses_port: bool = False
    others_server: bool = False

    def start(self, name: str, arguments: list[str], *, log: Path, environment: dict[str, str | None]) -> FakeChild:
        assert log.parent.name == "logs"
        child = FakeChild(name, arguments, environment)
        self.started.append(child)
        return child

    def stop(self, children: list[FakeChild], grace_s: float) -> None:
        for child in children:
            child.is_alive = False
            self.stopped.append((child.name, grace_s))

    def ensure(
        self, _settings: Settings, *, port: int = 0, meanwhile: Callable[[], None] | None = None
    ) -> tuple[str, FakeChild | None]:
        self.ports.append(port)
        if meanwhile is not None and not self.others_server:
            meanwhile()
        if port and self.refuses_port:
            msg = "the port is taken"
            raise local.StartError(msg)
        if self.others_server:
            return self.url, None
        child = FakeChild("server", [])
        self.started.append(child)
        return self.url, child


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(local_processes, "start", world.start)
    monkeypatch.setattr(local_processes, "stop", world.stop)
    monkeypatch.setattr(local_processes, "kill_group", lambda child: world.killed.append(child.name))
    monkeypatch.setattr(local, "ensure", world.ensure)
    monkeypatch.setattr(local, "token_of", lambda _settings: "hps_local")
    monkeypatch.setattr("hpsearch.local.local_processes.time.sleep", lambda _s: None)
    return world


@pytest.fixture
def processes(world: World, tmp_path: Path) -> LocalProcesses:
    return LocalProcesses(Settings(data_dir=tmp_path), notify=world.told.append)


def test_workers_share_server_token_and_folders(processes: LocalProcesses, world: World, tmp_path: Path):
    processes.open_server()
    assert processes.start_workers(2) == 2
    first, second = world.started[1:]
    assert first.arguments[:5] == ["worker", "--server", world.url, "--name", "local-1"]
    assert str(tmp_path / "cache") in first.arguments
    assert "--trainers" not in first.arguments
    assert first.environment["HPSEARCH_TOKEN"] == "hps_local"
    assert "hps_local" not in first.arguments
    assert second.name == "worker 2"
    assert processes.n_workers == 2


def test_workers_started_before_the_server_answers_look_for_it_themselves(processes: LocalProcesses, world: World):
    processes.open_server(meanwhile=lambda: processes.start_workers(1) and None)
    (worker,) = (child for child in world.started if child.name == "worker 1")
    assert "--server" not in worker.arguments
    assert worker.environment[BESIDE_VARIABLE] == "1"
    assert worker.environment["HPSEARCH_TOKEN"] is None
    assert processes.has_workers
    worker.die()
    processes.supervise()
    again = world.started[-1]
    assert again.arguments[1:3] == ["--server", world.url]
    assert again.environment[BESIDE_VARIABLE] is None


def test_no_worker_is_started_early_for_a_server_that_runs(processes: LocalProcesses, world: World):
    world.others_server = True
    processes.open_server(meanwhile=lambda: processes.start_workers(1) and None)
    assert not processes.has_workers


def test_where_nothing_is_left_to_give_back_all_end_together(processes: LocalProcesses, world: World):
    processes.open_server()
    processes.start_workers(2)
    processes.terminate_workers()
    assert [child.told_to_go for child in world.started] == [False, True, True]
    processes.is_idle = True
    processes.close()
    assert [name for name, _ in world.stopped] == ["worker 1", "worker 2", "server"]
    assert len({grace_s for _, grace_s in world.stopped}) == 1, "in one go"


def test_by_default_one_worker_has_as_many_trainers_as_the_machine_carries(
    processes: LocalProcesses, world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(local_processes, "default_trainers", lambda _engine: 3)
    assert processes.start_workers(None) == 3
    assert world.started[0].arguments[-2:] == ["--trainers", "3"]
    assert world.started[0].environment[CPUS_VARIABLE] is None


def test_on_gpus_the_worker_decides(processes: LocalProcesses, world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_processes, "default_trainers", lambda _engine: None)
    assert processes.start_workers(None) == 1
    assert "--trainers" not in world.started[0].arguments


def test_no_workers_wanted(processes: LocalProcesses, world: World):
    assert processes.start_workers(0) == 0
    processes.supervise()
    assert world.started == []


def test_a_dead_worker_is_started_again_and_the_user_is_told_why(processes: LocalProcesses, world: World):
    processes.start_workers(1)
    world.started[0].die()
    processes.supervise()
    assert len(world.started) == 2
    assert world.started[1].arguments == world.started[0].arguments
    assert world.killed == ["worker 1"]
    assert world.told == [
        "The worker 1 ended with exit code 1: out of luck\nIt is started again; its trials go back to the queue."
    ]
    processes.supervise()
    assert len(world.started) == 2


def test_workers_that_keep_dying_end_the_command_with_their_last_words(processes: LocalProcesses, world: World):
    processes.start_workers(2)
    for _ in range(MAX_QUICK_DEATHS - 1):
        for child in world.started[-2:]:
            child.die()
        processes.supervise()
    assert len(world.started) == 2 * MAX_QUICK_DEATHS
    for child in world.started[-2:]:
        child.die()
    with pytest.raises(
        local.StartError, match=r"No local worker stays alive; what is finished is kept\. The worker 2 ended"
    ):
        processes.supervise()
    assert len(world.started) == 2 * MAX_QUICK_DEATHS


def test_one_worker_that_keeps_dying_does_not_stop_the_others(processes: LocalProcesses, world: World):
    processes.start_workers(2)
    for _ in range(MAX_QUICK_DEATHS):
        next(child for child in reversed(world.started) if child.name == "worker 1").die()
        processes.supervise()
    processes.supervise()
    assert world.told[-1].endswith(f"It has died {MAX_QUICK_DEATHS} times in a row and is not started again.")
    assert processes.n_workers == 1


def test_deaths_after_a_long_life_are_forgiven(processes: LocalProcesses, world: World):
    processes.start_workers(1)
    for _ in range(3 * MAX_QUICK_DEATHS):
        world.started[-1].die(age_s=QUICK_S + 1)
        processes.supervise()
    assert processes.n_workers == 1


def test_a_dead_server_is_started_again_at_its_old_address(processes: LocalProcesses, world: World):
    processes.open_server()
    processes.start_workers(1)
    world.started[0].die()
    processes.supervise()
    assert world.ports == [0, 5000]
    assert "It is started again; nothing stored is lost." in world.told[0]
    assert [child.name for child in world.started] == ["server", "worker 1", "server"], "the worker waits for it"


def test_workers_follow_a_server_to_another_address(processes: LocalProcesses, world: World):
    processes.open_server()
    processes.start_workers(1)
    world.started[0].die()
    world.refuses_port, world.url = True, "http://127.0.0.1:6000"
    processes.supervise()
    assert world.ports == [0, 5000, 0]
    assert processes.url == "http://127.0.0.1:6000"
    assert world.started[-1].name == "worker 1"
    assert "http://127.0.0.1:6000" in world.started[-1].arguments


def test_a_server_that_keeps_dying_ends_the_command(processes: LocalProcesses, world: World):
    processes.open_server()
    for _ in range(MAX_SERVER_RESTARTS):
        world.started[-1].die()
        processes.supervise()
    world.started[-1].die()
    with pytest.raises(local.StartError, match="The server ended with exit code 1: out of luck"):
        processes.supervise()


def test_somebody_elses_server_is_used_and_left_running(
    processes: LocalProcesses, world: World, monkeypatch: pytest.MonkeyPatch
):
    world.others_server = True
    monkeypatch.setattr(local, "announced", lambda _settings: (world.url, os.getpid()))
    processes.open_server()
    processes.supervise()
    processes.close()
    assert world.stopped == []
    assert world.started == []


def test_when_somebody_elses_server_ends_one_is_started(
    processes: LocalProcesses, world: World, monkeypatch: pytest.MonkeyPatch
):
    world.others_server = True
    processes.open_server()
    world.others_server = False
    monkeypatch.setattr(local, "announced", lambda _settings: None)
    processes.supervise()
    assert [child.name for child in world.started] == ["server"]
    assert "another command had started, has ended" in world.told[0]


def test_dismissed_workers_stay_away_when_the_server_is_started_elsewhere(
    processes: LocalProcesses, world: World, monkeypatch: pytest.MonkeyPatch
):
    world.others_server = True
    processes.open_server()
    processes.start_workers(1)
    processes.terminate_workers()
    world.others_server, world.refuses_port = False, True
    monkeypatch.setattr(local, "announced", lambda _settings: None)
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    processes.supervise_server()
    assert [child.name for child in world.started] == ["worker 1", "server"]


def test_a_remote_server_is_never_started(processes: LocalProcesses, world: World):
    processes.url, processes.token = "https://example.test", "hps_x"
    processes.start_workers(1)
    processes.supervise()
    assert [child.name for child in world.started] == ["worker 1"]


def test_workers_end_before_the_server(processes: LocalProcesses, world: World):
    with processes:
        processes.open_server()
        processes.start_workers(2)
    assert [name for name, _ in world.stopped] == ["worker 1", "worker 2", "server"]


def test_a_second_interrupt_kills_at_once(processes: LocalProcesses, world: World, monkeypatch: pytest.MonkeyPatch):
    patient_stop = world.stop

    def impatient(children: list[FakeChild], grace_s: float) -> None:
        if grace_s > 0:
            raise KeyboardInterrupt
        patient_stop(children, grace_s)

    monkeypatch.setattr(local_processes, "stop", impatient)
    processes.open_server()
    processes.start_workers(1)
    with pytest.raises(KeyboardInterrupt):
        processes.__exit__(None, None, None)
    assert world.stopped == [("worker 1", 0), ("server", 0)]


@pytest.mark.parametrize(
    ("n_workers", "cpus", "shares"),
    [
        (1, {0, 1}, [None]),
        (2, {0, 1}, ["0", "1"]),
        (2, {0, 1, 2, 5}, ["0,2", "1,5"]),
        (3, {0, 1, 2, 3}, ["0,3", "1", "2"]),
        (3, {4, 7}, ["4", "7", "4"]),
    ],
)
def test_several_workers_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, n_workers: int, cpus: set[int], shares: list[str | None]
):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: cpus, raising=False)
    assert [local_processes._share(number, n_workers) for number in range(1, n_workers + 1)] == shares


@pytest.mark.parametrize(
    ("cores", "free", "expected"),
    [(2, 24e9, 2), (64, 500e9, 64), (8, 2.1e9, 2), (8, 1e9, 1), (1, 24e9, 1), (4, None, 4)],
)
def test_trainers_by_cores_and_memory(monkeypatch: pytest.MonkeyPatch, cores: int, free: float | None, expected: int):
    import workers.devices

    monkeypatch.setattr(workers.devices, "find_gpus", lambda: ())
    monkeypatch.setattr(workers.devices, "cpu_cores", lambda: cores)
    monkeypatch.setattr(workers.devices, "available_bytes", lambda: free)
    assert default_trainers("reference") == expected
    assert default_trainers("fused") == 1, "one process uses all cores"
    assert default_trainers("native") == default_trainers(None) == -(-cores // 8)
    monkeypatch.setenv("HPSEARCH_WORKER_ENGINE", "reference")
    assert default_trainers(None) == expected


def test_trainers_on_gpus_are_left_to_the_worker(monkeypatch: pytest.MonkeyPatch):
    import workers.devices

    monkeypatch.setattr(workers.devices, "find_gpus", lambda: ("a gpu",))
    assert default_trainers(None) is None


def test_workers_are_started_with_the_engine_asked_for(processes: LocalProcesses, world: World):
    processes.engine = "reference"
    processes.start_workers(1)
    assert world.started[0].arguments[-2:] == ["--engine", "reference"]
