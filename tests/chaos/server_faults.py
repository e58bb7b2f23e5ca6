"""Scenarios in which servers die, are away or lose their sense of time: C2, C7, C9, C12."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import hpsearch
from tests.chaos.scene import LEASE_S, Judge, Scene
from tests.chaos.studies import grid
from tests.chaos.timeline import Timeline

_HOUR_S: Final = 3600.0
_DAY_S: Final = 86_400.0
_CHECKOUT: Final = Path(hpsearch.__file__).parents[1]
# PostgreSQL's own clock is set by hand: a function of this name stands before the built-in one.
_SHIFTABLE_CLOCK: Final = (
    "CREATE SCHEMA chaos",
    "CREATE TABLE chaos.shift (seconds double precision NOT NULL)",
    "INSERT INTO chaos.shift VALUES (0)",
    """CREATE FUNCTION chaos.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() + make_interval(secs => (SELECT seconds FROM chaos.shift))'""",
    """DO $$ BEGIN EXECUTE format(
    'ALTER DATABASE %I SET search_path = chaos, pg_catalog, public', current_database()); END $$""",
)


def killed_server(scene: Scene) -> Judge:
    """C2: the server is killed every five seconds and started again."""
    n, n_kills = scene.size(300, least=24), scene.size(6, least=2)
    replica = scene.serve()
    scene.hire(scene.size(8, least=4), trial_s=0.8)
    study = scene.create(grid(n, seed=scene.seed))
    scene.wait_for_trials(study, 1)

    def strike() -> None:
        replica.kill()
        replica.start()

    scene.while_running(study, strike, every_s=max(1.5, 5.0 * min(1.0, scene.scale)), times=n_kills)
    scene.finish(study, n)

    def judge(timeline: Timeline) -> None:
        scene.figures |= {"server kills": replica.n_kills, "lost": len(timeline.lost())}
        scene.expect(replica.n_kills >= n_kills // 2, f"at least half of {n_kills} kills happen")

    return judge


def outage(scene: Scene) -> Judge:
    """C12: all servers are away for three leases."""
    n, n_workers = scene.size(100, least=8), scene.size(8, least=4)
    scene.serve(2 if scene.place.kind == "postgresql" and scene.scale >= 1 else 1)
    scene.hire(n_workers, trial_s=1.5)
    study = scene.create(grid(n, seed=scene.seed))
    scene.wait_for(study, lambda seen: seen.counts["RUNNING"] == n_workers, "trial on every worker", 60)
    with scene.client() as client:
        running = {trial.trial_id for trial in client.studies.all_trials(study, state="RUNNING")}
    for replica in scene.replicas:
        replica.kill()
    away_at = datetime.now(UTC)
    time.sleep(3 * LEASE_S)
    for replica in scene.replicas:
        replica.start(wait=False)
    for replica in scene.replicas:
        replica.wait_until_listening()
    scene.finish(study, n)
    with scene.client() as client:
        trials = [trial for trial in client.studies.all_trials(study) if trial.trial_id in running]
    again = [trial.number for trial in trials if trial.attempt != 1]
    scene.expect(bool(trials), "trials were running when the servers went away")
    scene.expect(not again, f"what ran before the outage is accepted on attempt 1, found others for trials {again}")

    def judge(timeline: Timeline) -> None:
        # What begins later can lapse only if the machine keeps a worker waiting for a whole lease, which is no outage.
        by_outage = [one for one in timeline.lost() if one.started_at < away_at]
        scene.figures |= {"running then": len(running), "lost": timeline.events["trial.lost"]}
        scene.expect(not by_outage, f"no lease lapses by an outage, found {by_outage}")

    return judge


def jumping_clocks(scene: Scene) -> Judge:
    """C7: the server's clock and the database's jump by an hour either way; those of the workers are a day off."""
    n = scene.size(100, least=48)
    offset = scene.folder / "server-clock.json"
    offset.write_text("0")
    if scene.place.kind == "postgresql":
        for statement in _SHIFTABLE_CLOCK:
            scene.place.execute(statement)
    environment = {"PYTHONPATH": os.pathsep.join([str(_CHECKOUT), os.environ.get("PYTHONPATH", "")])}
    replica = scene.serve(environment=environment, command=_skewed(offset, "serve"))
    study = scene.create(grid(n, seed=scene.seed))
    for name, seconds in (("ahead", _DAY_S), ("behind", -_DAY_S)):
        clock = scene.folder / f"{name}-clock.json"
        clock.write_text(json.dumps(seconds))
        scene.hire(scene.size(4, least=2), trial_s=1.2, environment=environment, command=_skewed(clock, "worker"))
    n_jumps = 0
    scene.wait_for_trials(study, 2)
    for seconds in (_HOUR_S, 0.0, -_HOUR_S, 0.0):
        if scene.is_over(study):
            break
        offset.write_text(json.dumps(seconds))
        if scene.place.kind == "postgresql":
            scene.place.execute(f"UPDATE chaos.shift SET seconds = {seconds}")  # noqa: S608 - a number of this file
        n_jumps += 1
        time.sleep(max(1.0, 2.5 * min(1.0, scene.scale)))
        if scene.place.kind == "sqlite" and n_jumps == 1:
            replica.kill()  # the clock of leases follows the wall only from one start to the next
            replica.start()
    scene.finish(study, n)

    def judge(timeline: Timeline) -> None:
        n_lost = timeline.events["trial.lost"]
        scene.figures |= {"jumps": n_jumps, "lost": n_lost}
        scene.expect(n_jumps == 4, f"all 4 jumps happen while the study runs, found {n_jumps}")
        scene.expect(n_lost == 0, f"no attempt expires by a jump, found {n_lost}")

    return judge


def _skewed(offset: Path, verb: str) -> list[str]:
    return [sys.executable, "-m", "tests.chaos.skewed", str(offset), verb]


def killed_replicas(scene: Scene) -> Judge:
    """C9: of two servers over one PostgreSQL database, one after the other is killed; a balancer stands before them."""
    n, n_kills = scene.size(300, least=40), scene.size(8, least=2)
    scene.serve(2)
    killed_at: list[datetime] = []
    with ExitStack() as stack:
        proxy = stack.enter_context(scene.proxied())
        study = scene.create(grid(n, seed=scene.seed))
        scene.hire(scene.size(8, least=4), url=proxy.url, trial_s=0.7)
        scene.wait_for_trials(study, 1)

        def strike() -> None:
            replica = scene.replicas[len(killed_at) % 2]
            killed_at.append(datetime.now(UTC))
            replica.kill()
            replica.start()

        scene.while_running(study, strike, every_s=3.0, times=n_kills)
        scene.finish(study, n)
        for fleet in scene.fleets:
            scene.complaints += fleet.deserters() + fleet.retire()

    def judge(timeline: Timeline) -> None:
        starts = timeline.starts()
        pauses = []
        for kill in killed_at:
            following = [start for start in starts if start > kill]
            # After the last claim there is nothing left to claim.
            pauses += [(following[0] - kill).total_seconds()] if following else []
        longest_s = max(pauses, default=0.0)
        scene.figures |= {"server kills": len(killed_at), "longest pause s": round(longest_s, 2)}
        scene.expect(len(killed_at) >= n_kills // 2, f"at least half of {n_kills} kills happen")
        scene.expect(bool(pauses), "trials are left to claim after a kill")
        scene.expect_quicker(longest_s, 1.0, "the pause between a kill and the next claim")

    return judge
