"""Scenarios in which the database goes away or its disk is full: C3, C6."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

import httpx2

from tests.chaos.enqueuers import Enqueuers
from tests.chaos.places import fill, grow
from tests.chaos.scene import Judge, Scene
from tests.chaos.studies import grid, search
from tests.chaos.timeline import Timeline

# Readiness wants 64 MiB to be free.
SMALL_MB: Final = 192
_MORE_RESTARTS: Final = 40


def restarted_database(scene: Scene) -> Judge:
    """C3: PostgreSQL is stopped at once, in the midst of commits, and started again."""
    n, n_restarts = scene.size(300, least=80), scene.size(6, least=2)
    replica = scene.serve()
    study = scene.create(grid(n, seed=scene.seed))
    # Beside the workers, clients that write without pause: only who waits for a commit can lose its answer.
    crowded = scene.create(search(500_000, seed=scene.seed, name="crowded", parallelism=1))
    with scene.client() as client:
        client.studies.pause(crowded)
    enqueuers = Enqueuers(replica.url, scene.token, crowded, scene.seed)
    enqueuers.start(10)
    scene.hire(scene.size(8, least=4), trial_s=0.7)
    scene.wait_for_trials(study, 1)
    n_done = scene.while_running(study, scene.place.restart, every_s=4.0, times=n_restarts)
    # An answer lost after its commit is what this is about, and the moment for that is a fraction of a millisecond.
    for _ in range(_MORE_RESTARTS):
        if enqueuers.n_committed:
            break
        time.sleep(1.5)
        scene.place.restart()
        n_done += 1
    scene.complaints += enqueuers.stop()
    scene.finish(study, n)
    with scene.client() as client:
        n_enqueued = client.studies.get(crowded).budget.n_created - 1
        client.studies.cancel(crowded)
    n_made = len(set(enqueuers.made.values()))
    scene.expect(n_made == len(enqueuers.made) == n_enqueued, f"each of {n_made} points is enqueued once: {n_enqueued}")

    def judge(timeline: Timeline) -> None:
        n_replayed = timeline.events["report.replayed"] + enqueuers.n_committed
        n_refused = replica.answers()[503]
        scene.figures |= {"restarts": n_done, "unknown commits": enqueuers.n_unknown, "of them committed": n_replayed}
        scene.expect(n_done >= n_restarts // 2, f"at least half of {n_restarts} restarts happen, found {n_done}")
        scene.expect(n_refused > 0, "requests are refused with 503 while the database is away")
        scene.expect(n_replayed >= 1, "at least one commit of unknown outcome had happened and is replayed")

    return judge


def full_disk(scene: Scene) -> Judge:
    """C6: the disk of the database fills up, and is made larger later."""
    disk = scene.disk
    assert disk is not None
    n = 100  # fewer find room in the blocks PostgreSQL has already
    replica = scene.serve()
    study = scene.create(grid(n, seed=scene.seed))
    scene.hire(scene.size(8, least=4), trial_s=0.5)
    scene.wait_for_trials(study, max(3, n // 10))
    fill(disk)
    red = _wait_for_readiness(scene, replica.url, ready=False)
    time.sleep(3.0)
    before = replica.answers()
    grow(disk, megabytes=4 * SMALL_MB)
    green = _wait_for_readiness(scene, replica.url, ready=True)
    scene.finish(study, n)

    def judge(timeline: Timeline) -> None:
        scene.figures |= {"503": replica.answers()[503], "lost": len(timeline.lost())}
        refused = before[503] - 1  # the last question for the readiness was answered so, too
        scene.expect(red > 0, "readiness turns red while the disk is full")
        scene.expect(green > 0, "readiness turns green by itself when there is room again")
        scene.expect(refused >= 1, f"requests are refused with 503 while the disk is full, found {refused}")

    return judge


def _wait_for_readiness(scene: Scene, url: str, *, ready: bool) -> int:
    """Return how many times the readiness was asked for until it was as wanted; 0 when it never was."""
    deadline_s = time.monotonic() + 30 * scene.patience
    n = 0
    while time.monotonic() < deadline_s:
        n += 1
        with suppress(httpx2.HTTPError):
            if httpx2.get(f"{url}/readyz", timeout=10, trust_env=False).is_success == ready:
                return n
        time.sleep(0.2)
    return 0
