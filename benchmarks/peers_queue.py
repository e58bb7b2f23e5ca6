"""Exact budgets under concurrency and kills: Optuna's own storage beside ours, on the same machine in the same run.

    python -m benchmarks.peers_queue [--repeats 3] [--pace 1.0] [--database sqlite|postgresql] [--rows grid,kills]

Four situations, each over SQLite and PostgreSQL: a grid of 100 points and a budget of 100 trials with 8 worker
processes; the same grid with 6 workers, one of them killed every 2 s and replaced, 29 times at most; and a grid of 20
with two workers, one of which is frozen until its trial has gone to the other. Both systems get the same points, pauses
of the same length for training, the same number of workers and kills at the same intervals of workers drawn alike.
Optuna runs as its documentation says: RDBStorage, GridSampler or MaxTrialsCallback, and for kills and frozen workers
its heartbeat with RetryHeartbeatStaleTrialCallback, as quick as it goes. Ours is the real server, with tokens and
durable commits, and real workers. `--pace 0.25` makes trials and pauses between kills four times as short.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Literal

from hpsearch.cli.stopping import stop_signals
from hpsearch.domain.lifecycle import STUDY_FINAL
from tests.chaos.places import Place, fresh, own_postgres
from tests.chaos.scene import Scene
from tests.chaos.studies import grid, search
from tests.invariants.journal import read
from tests.postgres import PostgresServer

Row = Literal["grid", "budget", "kills", "frozen"]
N: Final = 100
ROWS: Final[dict[Row, str]] = {
    "grid": "100-point grid, 8 worker processes, no faults",
    "budget": "budget 100, 8 worker processes",
    "kills": "100-point grid, 6 workers, SIGKILL one every 2 s",
    "frozen": "20-point grid, 2 workers, one frozen past its lease",
}
_POINTS: Final[dict[Row, int]] = {"grid": N, "budget": N, "kills": N, "frozen": 20}
_WORKERS: Final[dict[Row, int]] = {"grid": 8, "budget": 8, "kills": 6, "frozen": 2}
# Long enough at pace 1 that 29 kills, one every 2 s, fall into the search.
_TRIAL_S: Final[dict[Row, float]] = {"grid": 0.3, "budget": 0.3, "kills": 2.5, "frozen": 1.0}
_KILL_EVERY_S: Final = 2.0
_N_KILLS: Final = 29
_FROZEN_S: Final = 6.0  # well beyond Optuna's grace period and our lease
_LIMIT_S: Final = 600.0
_COLUMNS: Final = (
    "situation", "database", "system", "COMPLETE", "RUNNING for ever", "different points", "kills", "attempts", "exact",
    "seconds", "remarks",
)  # fmt: skip
_SPAWN: Final = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Outcome:
    """How one run ended.

    Attributes:
        complete: Trials that completed.
        running: Trials that stay RUNNING for ever.
        points: Different grid points that completed; None for a search without a grid.
        kills: Workers killed.
        attempts: Executions begun: with one row per trial for ever, the sum of its attempts; else the number of rows.
        remarks: What became of a frozen worker, and of trials that did not complete.
        seconds: From the first worker's readiness to the end.
    """

    complete: int
    running: int
    points: int | None
    kills: int
    attempts: int
    seconds: float
    remarks: str = ""


def optuna_worker(url: str, name: str, row: Row, trial_s: float, signs: Any, log: str) -> None:
    """Work on an Optuna study until Optuna says that it is done."""
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 2)  # what a worker dies of is told by the frozen row, not on the table
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # The seed must be the same everywhere: it shuffles the grid, whose points the workers share by position.
    sampler: Any = optuna.samplers.GridSampler({"x": list(range(_POINTS[row]))}, seed=0)
    callbacks: list[Any] = []
    if row == "budget":
        sampler = optuna.samplers.RandomSampler()
        callbacks = [optuna.study.MaxTrialsCallback(N, states=(optuna.trial.TrialState.COMPLETE,))]
    study = optuna.load_study(study_name=name, storage=_optuna_storage(url, row), sampler=sampler)

    def objective(trial: optuna.Trial) -> float:
        x = trial.suggest_int("x", 0, _POINTS[row] - 1)
        time.sleep(trial_s)
        return float(x)

    ready, go = signs
    ready.release()
    go.wait()
    study.optimize(objective, callbacks=callbacks)


def _optuna_storage(url: str, row: Row) -> Any:
    import optuna

    if row not in ("kills", "frozen"):
        return optuna.storages.RDBStorage(url)
    return optuna.storages.RDBStorage(
        url,
        heartbeat_interval=1,
        grace_period=3,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=5),
    )


def run_optuna(url: str, row: Row, pace: float, rng: random.Random, folder: Path) -> Outcome:
    """Run one situation with Optuna and count."""
    warnings.simplefilter("ignore")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    name, trial_s = uuid.uuid4().hex, _TRIAL_S[row] * pace
    storage = _optuna_storage(url, row)
    study = optuna.create_study(study_name=name, storage=storage)
    ready, go = _SPAWN.Semaphore(0), _SPAWN.Event()
    processes: list[BaseProcess] = []

    def hire() -> None:
        said = folder / f"{name}-{len(processes)}.log"
        arguments = (url, name, row, trial_s, (ready, go), str(said))
        processes.append(_SPAWN.Process(target=optuna_worker, args=arguments, daemon=True))
        processes[-1].start()

    for _ in range(_WORKERS[row]):
        hire()
    for _ in processes:
        assert ready.acquire(timeout=120), "a worker does not start"
    go.set()
    began_s = time.monotonic()

    def strike() -> bool:
        alive = [process for process in processes if process.is_alive()]
        done = sum(t.state == optuna.trial.TrialState.COMPLETE for t in study.get_trials(deepcopy=False))
        if not alive or done >= N:
            return False
        os.kill(rng.choice(alive).pid or 0, signal.SIGKILL)
        hire()
        return True

    def frozen() -> str:
        victim = processes[0]
        time.sleep(0.5 * trial_s)
        _freeze(victim.pid or 0)
        victim.join(_LIMIT_S)
        return (
            "goes on"
            if victim.exitcode == 0
            else f"its process ends with {victim.exitcode}: {_last_line(folder / f'{name}-0.log')}"
        )

    kills = _strike_often(strike, pace) if row == "kills" else 0
    fate = frozen() if row == "frozen" else ""
    for process in processes:
        process.join(_LIMIT_S)
        if process.is_alive():
            process.kill()
    seconds = time.monotonic() - began_s
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
    running = sum(trial.state == optuna.trial.TrialState.RUNNING for trial in trials)
    storage.engine.dispose()
    points = None if row == "budget" else len({trial.params["x"] for trial in complete})
    return Outcome(len(complete), running, points, kills, len(trials), seconds, fate)


def _freeze(pid: int) -> None:
    """Stop a process for a while, as when a virtual machine is paused."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(_FROZEN_S)
    os.kill(pid, signal.SIGCONT)


def _last_line(log: Path) -> str:
    return (log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["silent"])[-1][:100]


def _strike_often(strike: Callable[[], bool], pace: float) -> int:
    n = 0
    due_s = time.monotonic()
    while n < _N_KILLS:
        due_s += _KILL_EVERY_S * pace
        time.sleep(max(0.0, due_s - time.monotonic()))
        if not strike():
            break
        n += 1
    return n


def run_ours(scene: Scene, row: Row, pace: float, number: int) -> Outcome:
    """Run one situation with a server and workers of our own and count."""
    name = f"{row} {number}"
    make = search if row == "budget" else grid
    definition = make(_POINTS[row], seed=number, name=name)
    fleet = scene.hire(_WORKERS[row], trial_s=_TRIAL_S[row] * pace)
    while not all("trainer ready" in fleet.said(member) for member in fleet.members):
        time.sleep(0.05)
    began_s = time.monotonic()
    study = scene.create(definition)

    def strike() -> bool:
        if scene.is_over(study):
            return False
        fleet.kill(fleet.choose())
        fleet.hire()
        return True

    def frozen() -> str:
        victim = fleet.members[0]
        scene.wait_for(study, lambda seen: seen.counts["RUNNING"] == len(fleet.members), "work for all", 30)
        journal = [fleet.folder / f"{victim.name}.journal"]
        fleet.freeze(victim)
        while not _holds_a_trial(scene, victim.name):  # caught between two trials: nothing would become stale
            fleet.thaw(victim)
            time.sleep(0.1)
            fleet.freeze(victim)
        n_before = len(list(read(path for path in journal if path.exists())))
        time.sleep(_FROZEN_S)
        fleet.thaw(victim)
        while not scene.is_over(study):
            time.sleep(0.05)
        answers = [str(entry.status) for entry in read(path for path in journal if path.exists())][n_before:]
        fate = "goes on" if victim.is_alive and "accepted" in answers else "does NOT go on"
        return f"{answers.count('stale_attempt')} stale_attempt, {fate}"

    kills = _strike_often(strike, pace) if row == "kills" else 0
    fate = frozen() if row == "frozen" else ""
    while not scene.is_over(study) and time.monotonic() - began_s < _LIMIT_S:
        time.sleep(0.05)
    seconds = time.monotonic() - began_s
    time.sleep(2.0)  # whoever would still add a trial has the time for it
    with scene.client() as client:
        view = client.studies.get(study)
        trials = list(client.studies.all_trials(study))
    complete = [trial for trial in trials if trial.state == "COMPLETE"]
    assert view.state in STUDY_FINAL, f"the study has not ended within {_LIMIT_S:g} s"
    fleet.retire()
    points = None if row == "budget" else len({tuple(sorted(trial.params.items())) for trial in complete})
    rest = [f"trial {t.number} is {t.state} ({t.cause})" for t in trials if t.state != "COMPLETE"]
    attempts = sum(trial.attempt for trial in trials)
    return Outcome(
        view.counts["COMPLETE"], view.counts["RUNNING"], points, kills, attempts, seconds, "; ".join([fate, *rest])
    )


def _holds_a_trial(scene: Scene, name: str) -> bool:
    with scene.client() as client:
        present = [worker for worker in client.workers.all() if worker.state == "ACTIVE"]
    return any(worker.name == name and worker.n_running for worker in present)


@contextmanager
def _ours(place: Place) -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="hpsearch-peers-"))
    scene = Scene(0, place, folder)
    try:
        scene.serve()
        yield scene
        scene.end()
    finally:
        scene.close()
        shutil.rmtree(folder, ignore_errors=True)


def _show(row: Row, database: str, arm: str, outcomes: list[Outcome]) -> None:
    def listed(values: Sequence[int | None]) -> str:
        if None in values:
            return "-"
        if len(values) > 5 and len(set(values)) == 1:
            return f"{values[0]} each of {len(values)} times"
        return ", ".join(map(str, values))

    n = _POINTS[row]
    exact = sum(one.complete == n and one.running == 0 and one.points in (n, None) for one in outcomes)
    seconds = sum(one.seconds for one in outcomes) / len(outcomes)
    cells = [
        ROWS[row], database, arm, listed([one.complete for one in outcomes]), listed([one.running for one in outcomes]),
        listed([one.points for one in outcomes]), listed([one.kills for one in outcomes]),
        listed([one.attempts for one in outcomes]), f"{exact} of {len(outcomes)}", f"{seconds:.1f}",
        "; ".join(filter(None, (one.remarks.strip("; ") for one in outcomes))),
    ]  # fmt: skip
    print(f"| {' | '.join(cells)} |", flush=True)


def measure(database: str, server: PostgresServer | None, rows: list[Row], options: argparse.Namespace) -> bool:
    """Print the rows of one database; return whether all of our own runs were exact."""
    import optuna

    rng, exact = random.Random(options.seed), True
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="hpsearch-optuna-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        theirs = f"sqlite:///{folder / 'optuna.sqlite3'}"
        place = Place("sqlite")
        if server is not None:
            theirs = str(stack.enter_context(fresh(server)).url).replace("postgresql://", "postgresql+psycopg://")
            place = stack.enter_context(fresh(server))
        scene = stack.enter_context(_ours(place))
        for row in rows:
            n_own = options.own_repeats or options.repeats
            peers, ours = [], []
            # In turn, so that whatever else the machine does falls on both.
            for number in range(max(options.repeats, n_own)):
                if number < options.repeats:
                    peers.append(run_optuna(theirs, row, options.pace, rng, folder))
                if number < n_own:
                    ours.append(run_ours(scene, row, options.pace, number))
            if peers:
                _show(row, database, f"Optuna {optuna.__version__}", peers)
            _show(row, database, "hpsearch", ours)
            exact &= all(one.complete == _POINTS[row] and one.running == 0 for one in ours)
    return exact


def main() -> int:
    """Print the table; return 1 when one of our own runs was not exact."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers_queue", description="Optuna's queue beside ours.")
    parser.add_argument("--repeats", type=int, default=3, help="of each situation, with each system")
    parser.add_argument(
        "--own-repeats", type=int, default=None, help="of each situation with ours, if others are wanted"
    )
    parser.add_argument("--pace", type=float, default=1.0, help="multiplies trial times and the pauses between kills")
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"some of {', '.join(ROWS)}, with commas")
    parser.add_argument("--seed", type=int, default=0, help="chooses whom to kill")
    options = parser.parse_args()
    rows: list[Row] = [row for row in ROWS if row in options.rows.split(",")]
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, pace {options.pace:g}")
    print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}", flush=True)
    exact = True
    if options.database in ("sqlite", "both"):
        exact &= measure("SQLite", None, rows, options)
    if options.database in ("postgresql", "both"):
        with own_postgres() as server:
            exact &= measure("PostgreSQL", server, rows, options)
    return 0 if exact else 1


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        sys.exit(main())
