"""Scenarios in which requests are lost, doubled, race each other or are taken back: C5, C8, C10."""

from __future__ import annotations

import time

from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.errors import ConflictError
from tests.chaos.proxy import Weather
from tests.chaos.scene import LEASE_S, REAPER_S, Judge, Scene
from tests.chaos.studies import search
from tests.chaos.timeline import Timeline

_STORM = Weather(cut=0.05, double=0.05, delay=0.05, delay_s=0.6)


def lossy_network(scene: Scene) -> Judge:
    """C5: a proxy cuts, doubles and delays one request in twenty each."""
    n = scene.size(300, least=30)
    scene.serve()
    with scene.proxied() as proxy:
        # A short run strikes more often, so that every fault is seen.
        more = min(4.0, 1 / scene.scale)
        proxy.weather = Weather(cut=_STORM.cut * more, double=_STORM.double * more, delay=_STORM.delay, delay_s=0.6)
        fleet = scene.hire(scene.size(8, least=4), url=proxy.url, trial_s=0.3)
        study = scene.create(search(n, seed=scene.seed))
        scene.finish(study, n)
        proxy.weather = Weather()
        scene.complaints += fleet.deserters() + fleet.retire()
        scene.figures |= {"cut": proxy.struck["cut"], "doubled": proxy.struck["double"]}
        for fault in ("cut", "double", "delay"):
            scene.expect(proxy.struck[fault] > 0, f"the fault {fault} strikes")

    def judge(timeline: Timeline) -> None:
        replayed, wanted = timeline.events["report.replayed"], scene.size(20, least=3)
        scene.figures |= {"replays": replayed}
        scene.expect(replayed >= wanted, f"at least {wanted} replays, found {replayed}")

    return judge


def exact_budget(scene: Scene) -> Judge:
    """C8: eight clients ask, report and enqueue without pause; the budget is exact each time."""
    n, n_repeats = scene.size(100, least=24), scene.size(20, least=3)
    n_servers = 2 if scene.place.kind == "postgresql" else 1
    scene.serve(n_servers)
    kinds = ["random", "bayesian", "random", "random"]
    for repeat in range(n_repeats):
        kind = kinds[repeat % len(kinds)]
        # Few trials at once: most are created while others are claimed, on both servers.
        study = scene.create(search(n, seed=scene.seed, kind=kind, name=f"budget {repeat}", parallelism=12))
        per_server = 8 // n_servers
        crowds = [scene.ask(per_server, url=one.url, enqueue_to=study) for one in scene.replicas]
        scene.finish(study, n, timeout_s=90)
        for crowd in crowds:
            scene.complaints += crowd.stop()
        seen = scene.look(study)
        # A point that was enqueued late takes the place of one that had not begun.
        created = None if seen is None else seen.budget.n_created - seen.counts["CANCELLED"]
        scene.expect(created == n, f"exactly {n} trials are created in repeat {repeat}, found {created}")
    asked = sum(crowd.counts["accepted"] for crowd in scene.crowds)
    scene.figures |= {"repeats": n_repeats, "enqueued": sum(crowd.n_enqueued for crowd in scene.crowds)}

    def judge(timeline: Timeline) -> None:
        n_attempts = len(timeline.executions)
        scene.expect(asked == n * n_repeats, f"{n * n_repeats} results are accepted, found {asked}")
        scene.expect(n_attempts == n * n_repeats, f"each trial is executed once without faults, found {n_attempts}")

    return judge


def _within(scene: Scene, began_s: float) -> bool:
    return time.monotonic() - began_s < (LEASE_S + REAPER_S) * scene.patience


def cancelled_studies(scene: Scene) -> Judge:
    """C10: many small studies are cancelled at random moments."""
    n_studies, n_trials = scene.size(50, least=8), 8
    scene.serve()
    scene.hire(scene.size(8, least=4), trial_s=0.5)
    studies = [scene.create(search(n_trials, seed=scene.seed, name=f"small {i}")) for i in range(n_studies)]
    scene.wait_for_trials(studies[0], 1)
    n_cancelled, n_over = 0, 0
    with scene.client() as client:
        for study in scene.rng.sample(studies, len(studies)):
            time.sleep(scene.rng.random() * 0.4)
            try:
                seen = client.studies.cancel(study)
            except ConflictError:
                n_over += 1  # it had completed
                continue
            n_cancelled += 1
            n_open = seen.counts["WAITING"] + seen.counts["RUNNING"]
            scene.expect(n_open == 0, f"nothing of a cancelled study is open, found {n_open}")
        began_s = time.monotonic()
        while (n_held := sum(worker.n_running for worker in client.workers.all())) and _within(scene, began_s):
            time.sleep(0.1)
        scene.expect(n_held == 0, f"no worker holds a trial within a lease and a tick, found {n_held}")
        for study in studies:
            found = client.studies.get(study)
            n_open = found.counts["WAITING"] + found.counts["RUNNING"]
            scene.expect(found.state in STUDY_FINAL and n_open == 0, f"nothing is open, found {found.counts}")

    def judge(timeline: Timeline) -> None:
        n_killed = sum(one.state == "CANCELLED" for one in timeline.executions)
        scene.figures |= {"cancelled": n_cancelled, "had ended": n_over, "killed in training": n_killed}
        scene.expect(n_killed >= 1, "some trials are cancelled while they run")
        scene.expect(n_cancelled >= n_studies // 3, f"many studies are cancelled, found {n_cancelled} of {n_studies}")

    return judge
