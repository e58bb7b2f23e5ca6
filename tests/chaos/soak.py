"""The soak: tens of thousands of trials while everything is killed, restarted, frozen and cut off at once.

python -m tests.chaos.soak --database postgresql                20,000 trials, 2 servers, 16 workers, 1,500 kills
python -m tests.chaos.soak --database sqlite --trials 10000     the same over SQLite, with its one server
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hpsearch.cli.stopping import stop_signals
from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.errors import UnavailableError
from tests.chaos.fleet import Fleet, Member
from tests.chaos.places import Place, fresh, own_postgres
from tests.chaos.proxy import FaultProxy, Weather
from tests.chaos.scene import LEASE_S, Judge, Scene
from tests.chaos.studies import grid, search
from tests.chaos.table import Report, Scenario, run
from tests.chaos.timeline import Timeline

_PER_STUDY: Final = 500
_OPEN_STUDIES: Final = 4
_STEP_S: Final = 0.1
_SAY_S: Final = 30.0
# The last studies end while some kills are still owed.
_KILLS_AHEAD: Final = 1.2
# Mean seconds between faults of each kind; workers are killed in proportion to the trials that have finished.
_SERVER_EVERY_S: Final = 15.0
_DATABASE_EVERY_S: Final = 60.0
_FREEZE_EVERY_S: Final = 4.0
_TRAINER_EVERY_S: Final = 5.0
_WEATHER: Final = Weather(cut=0.01, double=0.01, delay=0.02, delay_s=0.5)


@dataclass
class Soak:
    """One soak.

    Attributes:
        n_trials: In all studies together.
        n_workers: At a time.
        n_kills: SIGKILLs of workers, at least, until the last trial has finished; a slow machine gets new studies only
            as they are dealt out.
        limit_s: Gives up after so long.
    """

    n_trials: int
    n_workers: int
    n_kills: int
    limit_s: float
    n_restarts: int = 0
    _frozen: deque[tuple[float, Member]] = field(default_factory=deque)
    _due_s: dict[str, float] = field(default_factory=dict)

    def play(self, scene: Scene) -> Judge:
        """Go through it all; a scenario like those of the table."""
        scene.serve(2 if scene.place.kind == "postgresql" else 1)
        with scene.proxied() as proxy:
            proxy.weather = _WEATHER
            fleet = scene.hire(self.n_workers, url=proxy.url, trial_s=0.2)
            studies = self._go_through(scene, fleet)
            for _, member in self._frozen:
                fleet.thaw(member)
            proxy.weather = Weather()
            scene.complaints += fleet.deserters() + fleet.retire()
            self._count(scene, fleet, proxy, len(studies))
        return lambda timeline: self._judge(scene, timeline)

    def _go_through(self, scene: Scene, fleet: Fleet) -> list[str]:
        sizes = [_PER_STUDY] * (self.n_trials // _PER_STUDY)
        sizes += [self.n_trials % _PER_STUDY] if self.n_trials % _PER_STUDY else []
        studies: list[str] = []
        n_open, n_done = 0, 0
        began_s = said_s = time.monotonic()
        while n_open or len(studies) < len(sizes):
            if time.monotonic() - began_s > self.limit_s:
                scene.complaints.append(f"{n_done} of {self.n_trials} trials have finished within {self.limit_s:g} s")
                break
            is_time = n_open < _OPEN_STUDIES and self._behind(fleet, n_done) <= self.n_workers
            if is_time and len(studies) < len(sizes):
                studies += self._create(scene, len(studies), sizes[len(studies)])
            self._strike(scene, fleet, n_done)
            n_open, n_done = self._progress(scene, studies, (n_open, n_done))
            if time.monotonic() - said_s > _SAY_S:
                said_s = time.monotonic()
                print(f"    {said_s - began_s:5.0f} s: {n_done} of {self.n_trials} trials, {fleet.n_kills} workers and "
                      f"{sum(r.n_kills for r in scene.replicas)} servers killed", flush=True)  # fmt: skip
            time.sleep(_STEP_S)
        return studies

    def _create(self, scene: Scene, number: int, n: int) -> list[str]:
        seed, name = scene.seed + number, f"soak {number}"
        definition = grid(n, seed=seed, name=name) if number % 2 == 0 else search(n, seed=seed, name=name)
        try:
            return [scene.create(definition)]
        except UnavailableError:
            return []  # the same key next time

    def _progress(self, scene: Scene, studies: list[str], before: tuple[int, int]) -> tuple[int, int]:
        """Return how many studies are open and how many trials have finished; as before while nobody answers."""
        try:
            with scene.client() as client:
                views = [view for view in client.studies.all() if view.study_id in studies]
        except UnavailableError:
            return before
        return sum(view.state not in STUDY_FINAL for view in views), sum(view.n_trials for view in views)

    def _strike(self, scene: Scene, fleet: Fleet, n_done: int) -> None:
        for _ in range(min(self.n_workers // 4, self._behind(fleet, n_done))):
            if fleet.awake():
                fleet.kill(fleet.choose())
                fleet.hire()
        while self._frozen and self._frozen[0][0] < time.monotonic():
            fleet.thaw(self._frozen.popleft()[1])
        if self._is_due(scene, "freeze", _FREEZE_EVERY_S) and len(self._frozen) < self.n_workers // 4:
            victim = fleet.choose()
            fleet.freeze(victim)
            self._frozen.append((time.monotonic() + 2 * LEASE_S, victim))
        if self._is_due(scene, "trainer", _TRAINER_EVERY_S):
            fleet.kill_trainer(fleet.choose())
        if self._is_due(scene, "server", _SERVER_EVERY_S):
            victim_server = scene.rng.choice(scene.replicas)
            victim_server.kill()
            victim_server.start(wait=False)
        if scene.place.kind == "postgresql" and self._is_due(scene, "database", _DATABASE_EVERY_S):
            scene.place.restart()
            self.n_restarts += 1
        for replica in scene.replicas:
            if not replica.is_alive:
                # One that can not start while its database is away is started again by whoever runs it.
                scene.expect(scene.place.kind == "postgresql", "no server over SQLite ends by itself")
                replica.start(wait=False)

    def _behind(self, fleet: Fleet, n_done: int) -> int:
        """Return how many workers are still to be killed for the trials that have finished, with some to spare."""
        return 1 + int(_KILLS_AHEAD * self.n_kills * n_done / self.n_trials) - fleet.n_kills

    def _is_due(self, scene: Scene, what: str, every_s: float) -> bool:
        now_s = time.monotonic()
        due_s = self._due_s.setdefault(what, now_s + every_s * scene.rng.uniform(0.5, 1.5))
        if now_s < due_s:
            return False
        self._due_s[what] = now_s + every_s * scene.rng.uniform(0.5, 1.5)
        return True

    def _count(self, scene: Scene, fleet: Fleet, proxy: FaultProxy, n_studies: int) -> None:
        scene.figures |= {
            "studies": n_studies,
            "workers killed": fleet.n_kills,
            "trainers killed": fleet.n_trainer_kills,
            "workers frozen": fleet.n_freezes,
            "servers killed": sum(replica.n_kills for replica in scene.replicas),
            "databases restarted": self.n_restarts,
            "answers cut": proxy.struck["cut"],
            "requests doubled": proxy.struck["double"],
            "delayed": proxy.struck["delay"],
        }

    def _judge(self, scene: Scene, timeline: Timeline) -> None:
        finished = sum(timeline.states[state] for state in ("COMPLETE", "FAILED", "INFEASIBLE", "PRUNED"))
        scene.figures |= {
            "finished": finished,
            "complete": timeline.states["COMPLETE"],
            "attempts": len(timeline.executions),
            "lost": timeline.events["trial.lost"],
            "revived": timeline.events["trial.revived"],
            "replays": timeline.events["report.replayed"],
            "stale reports": timeline.events["report.stale_attempt"],
            "conflicts": timeline.events["report.result_conflict"],
        }
        scene.expect(finished == self.n_trials, f"{self.n_trials} trials have finished, found {finished}")
        scene.expect(scene.figures["workers killed"] >= self.n_kills, f"{self.n_kills} workers are killed")
        for what in ("replays", "stale reports", "servers killed", "workers frozen", "trainers killed"):
            scene.expect(scene.figures[what] > 0, f"there are some {what}")


def main() -> int:
    """Soak one database and print what was counted; 0 when all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description="Soaks one database.")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--kills", type=int, default=None, help="workers killed (default: 3 for each 40 trials)")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--limit", type=float, default=7200.0, metavar="SECONDS")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000)
    n_kills = options.kills if options.kills is not None else options.trials * 3 // 40 + 1
    soak = Soak(options.trials, options.workers, n_kills, options.limit)
    print(f"soak over {options.database}: {options.trials} trials, {options.workers} workers, seed {seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="hpsearch-soak-"))
    with ExitStack() as stack:
        place = Place("sqlite")
        if options.database == "postgresql":
            place = stack.enter_context(fresh(stack.enter_context(own_postgres())))
        report = run(Scenario("soak", soak.play), Scene(seed, place, folder))
    _show(report)
    if report.passed:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"logs and journals: {folder}")
    return 0 if report.passed else 1


def _show(report: Report) -> None:
    for what, value in report.figures.items():
        print(f"  {what:<22} {value:>8}")
    print(f"  {'seconds':<22} {report.seconds:>8.0f}")
    print(f"  {'violated invariants':<22} {len(report.violations):>8}")
    for sentence in (*report.complaints, *report.violations[:50]):
        print(f"  {sentence}")
    print("ok" if report.passed else "FAILED")


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        sys.exit(main())
