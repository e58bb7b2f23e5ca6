"""Scenarios in which workers die, freeze or are poisoned: C1, C4, C11, C13."""

from __future__ import annotations

import time
from collections import deque
from typing import Any, Final

from hpsearch.domain.lifecycle import MAX_INFRA_ATTEMPTS
from hpsearch.domain.trial import Trial
from tests.chaos.fleet import Fleet, Member
from tests.chaos.scene import LEASE_S, REAPER_S, Judge, Scene
from tests.chaos.studies import grid, search
from tests.chaos.timeline import Timeline, quantile

_FROZEN_S: Final = 2 * LEASE_S


def killed_workers(scene: Scene) -> Judge:
    """C1: a random worker is killed every half second."""
    n, n_kills = scene.size(300, least=24), scene.size(60, least=6)
    scene.serve()
    fleet = scene.hire(scene.size(8, least=4), trial_s=0.5)
    study = scene.create(grid(n, seed=scene.seed))
    scene.wait_for_trials(study, 1)

    def strike() -> None:
        fleet.kill(fleet.choose())
        fleet.hire()

    scene.while_running(study, strike, every_s=0.5, times=n_kills)
    scene.finish(study, n)

    def judge(timeline: Timeline) -> None:
        killed = {member.name: member.killed_at for member in fleet.members if member.killed_at is not None}
        lost = timeline.lost()
        hits = [one for one in lost if one.worker in killed]
        reclaims = timeline.reclaims(killed)
        p99_s, returned_s = quantile(reclaims, 0.99), quantile(timeline.returns(killed), 0.99)
        scene.figures |= {"kills": len(killed), "hits": len(hits)}
        scene.figures |= {"taken back p99 s": round(returned_s, 2), "re-claim p99 s": round(p99_s, 2)}
        scene.expect(len(killed) >= n_kills // 2, f"at least half of {n_kills} kills happen, found {len(killed)}")
        scene.expect(len(hits) >= max(1, len(killed) // 6), f"kills hit running trials, found {len(hits)} hits")
        scene.expect(
            len(timeline.executions) == n + len(lost),
            f"each of {len(lost)} losses costs one attempt of {n} trials, found {len(timeline.executions)} attempts",
        )
        # The server's part; the rest is a worker that is free, and who is killed as quickly as it starts has none.
        scene.expect_quicker(returned_s, LEASE_S + 2 * REAPER_S, "taking a trial from a killed worker (p99)")
        scene.expect_quicker(p99_s, LEASE_S + 2 * REAPER_S, "re-claim after a kill (p99)")

    return judge


def frozen_workers(scene: Scene) -> Judge:
    """C4: workers stand still for two leases, as in paused virtual machines, and go on."""
    n, n_freezes = scene.size(200, least=24), scene.size(20, least=4)
    n_workers = scene.size(8, least=4)
    scene.serve()
    fleet = scene.hire(n_workers, trial_s=0.8)
    study = scene.create(grid(n, seed=scene.seed))
    scene.wait_for(study, lambda seen: seen.counts["RUNNING"] == n_workers, "trial on every worker", 60)
    frozen: deque[tuple[float, Member]] = deque()
    for _ in range(n_freezes):
        if scene.is_over(study):
            break
        while len(frozen) >= n_workers // 2:
            _thaw_next(fleet, frozen)
        victim = fleet.choose()
        fleet.freeze(victim)
        frozen.append((time.monotonic() + _FROZEN_S, victim))
        time.sleep(_FROZEN_S / (n_workers // 2))
    while frozen:
        _thaw_next(fleet, frozen)
    scene.finish(study, n)

    def judge(timeline: Timeline) -> None:
        stale = timeline.events["report.stale_attempt"]
        revived = timeline.events["trial.revived"]
        scene.figures |= {"freezes": fleet.n_freezes, "stale": stale, "revived": revived}
        scene.expect(fleet.n_freezes >= n_freezes // 2, f"at least half of {n_freezes} freezes happen")
        scene.expect(stale >= fleet.n_freezes // 2, f"at least {fleet.n_freezes // 2} stale answers, found {stale}")

    return judge


def _thaw_next(fleet: Fleet, frozen: deque[tuple[float, Member]]) -> None:
    due_s, member = frozen.popleft()
    time.sleep(max(0.0, due_s - time.monotonic()))
    fleet.thaw(member)


def poison(scene: Scene) -> Judge:
    """C11: one trial kills the trainer, one (in the full run) the whole worker, each time it is tried."""
    n = max(11, scene.size(37))
    n += 1 if n % 2 == 0 else 0
    while any(n % i == 0 for i in range(2, n)):  # a prime number of points differ in the learning rate alone
        n += 2
    definition = grid(n, seed=scene.seed)
    rates: Any = definition.space.flat()["learning_rate"].values
    kinds = ("kill", "slay") if scene.scale >= 1 else ("kill",)
    poisons = dict(zip(kinds, scene.rng.sample(list(rates), len(kinds)), strict=True))
    scene.serve()
    faults = ",".join(f"{kind}:learning_rate={rate}" for kind, rate in poisons.items())
    fleet = scene.hire(4, trial_s=0.2, environment={"HPSEARCH_STUB_FAULTS": faults}, mortal=True)
    study = scene.create(definition)
    deadline_s = time.monotonic() + 90 * scene.patience
    while not scene.is_over(study) and time.monotonic() < deadline_s:
        fleet.replace_dead()
        time.sleep(0.1)
    scene.finish(study, n, timeout_s=1)
    with scene.client() as client:
        trials = list(client.studies.all_trials(study))
    scene.figures |= {"workers killed": fleet.n_kills}
    for trial in trials:
        _judge_poison(scene, trial, poisoned=trial.params["learning_rate"] in poisons.values())
    if "slay" in poisons:
        scene.expect(fleet.n_kills == MAX_INFRA_ATTEMPTS, f"5 workers are killed, found {fleet.n_kills}")
    return lambda timeline: scene.figures.update({"lost": len(timeline.lost(("lost", "crashed")))})


def _judge_poison(scene: Scene, trial: Trial, *, poisoned: bool) -> None:
    found = f"trial {trial.number} is {trial.state} ({trial.cause}) at attempt {trial.attempt}"
    if poisoned:
        is_as_promised = (trial.state, trial.cause) == ("FAILED", "lost_repeatedly")
        scene.expect(is_as_promised and trial.attempt == MAX_INFRA_ATTEMPTS, f"five attempts, then FAILED; {found}")
    else:
        scene.expect(trial.state == "COMPLETE", f"trials without poison are COMPLETE; {found}")


def real_training(scene: Scene) -> Judge:
    """C13: training in earnest, while trainers and supervisors are killed."""
    n = scene.size(20, least=6)
    scene.objective = False
    scene.serve()
    study = scene.create(
        search(n, seed=scene.seed, training={"max_epochs": 500, "early_stopping": None}, dataset={"builtin": "digits"})
    )
    fleet = scene.hire(2, flags=("--engine", "native"))
    blows = ["trainer"] * scene.size(5) + ["supervisor"] * scene.size(2)
    scene.rng.shuffle(blows)
    n_struck = 0
    for n_struck, blow in enumerate(blows, 1):
        scene.wait_for_trials(study, n_struck, timeout_s=90)
        scene.wait_for(study, lambda seen: seen.counts["RUNNING"] > 0 or seen.ended_at is not None, "running trial", 60)
        if scene.is_over(study):
            break
        if blow == "trainer":
            fleet.kill_trainer(fleet.choose())
        else:
            fleet.kill(fleet.choose())
            fleet.hire()
    scene.finish(study, n, timeout_s=180)
    scene.figures |= {"trainers killed": fleet.n_trainer_kills, "workers killed": fleet.n_kills}
    scene.expect(n_struck == len(blows), f"all {len(blows)} kills happen while the study runs, found {n_struck}")
    with scene.client() as client:
        for trial in client.studies.all_trials(study, state="COMPLETE"):
            epochs = [m.epoch for m in client.trials.all_measurements(trial.trial_id)]
            wanted = list(range(1, (trial.epochs or 0) + 1))
            scene.expect(epochs == wanted, f"trial {trial.number} has epochs 1 to {trial.epochs}, found {epochs}")
    return lambda timeline: scene.figures.update({"lost": len(timeline.lost(("lost", "crashed")))})
