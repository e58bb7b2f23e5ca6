"""The table of chaos scenarios, and how one of them is run from its stage to its verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hpsearch.storage.store import Store
from tests.chaos import asking, database_faults, server_faults, timeline, verdict, worker_faults
from tests.chaos.places import KINDS, Kind, Place, drop_tablespace, fresh, make_tablespace, small_disk
from tests.chaos.scene import Judge, Scene
from tests.postgres import PostgresServer


@dataclass(frozen=True)
class Scenario:
    """One row of the table.

    Attributes:
        title: Load and fault.
        play: Brings the fault about and returns what is expected of the database afterwards.
        kinds: The databases it is about.
        small_disk: Whether its database lies on a small disk of its own.
    """

    title: str
    play: Callable[[Scene], Judge]
    kinds: tuple[Kind, ...] = KINDS
    small_disk: bool = False


SCENARIOS: Final[dict[str, Scenario]] = {
    "C1": Scenario("a random worker is killed every half second", worker_faults.killed_workers),
    "C2": Scenario("the server is killed and restarted", server_faults.killed_server),
    "C3": Scenario("PostgreSQL is restarted at once", database_faults.restarted_database, ("postgresql",)),
    "C4": Scenario("workers freeze for two leases", worker_faults.frozen_workers),
    "C5": Scenario("a proxy cuts, doubles and delays", asking.lossy_network),
    "C6": Scenario("the database's disk is full", database_faults.full_disk, small_disk=True),
    "C7": Scenario("clocks jump", server_faults.jumping_clocks),
    "C8": Scenario("eight clients ask without pause", asking.exact_budget),
    "C9": Scenario("two servers are killed in turn", server_faults.killed_replicas, ("postgresql",)),
    "C10": Scenario("studies are cancelled at random", asking.cancelled_studies),
    "C11": Scenario("a trial kills its worker", worker_faults.poison),
    "C12": Scenario("all servers are away for three leases", server_faults.outage),
    "C13": Scenario("real training is killed", worker_faults.real_training),
}


@dataclass(frozen=True)
class Report:
    """How a run ended.

    Attributes:
        complaints: What was expected and did not happen.
        violations: Which invariants do not hold.
        figures: What was counted and measured.
        seconds: It took.
        stalled_s: How long the machine kept the driver waiting, at worst.
    """

    complaints: list[str]
    violations: list[str]
    seconds: float
    stalled_s: float
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether all was as promised."""
        return not self.complaints and not self.violations


@contextmanager
def stage(scenario: Scenario, server: PostgresServer | None, folder: Path) -> Iterator[tuple[Place, Path | None]]:
    """Yield a fresh database for a scenario, and its disk when that is a small one.

    Raises:
        NotHereError: This machine lacks what the scenario needs.
    """
    with ExitStack() as stack:
        disk: Path | None = None
        tablespace = None
        if scenario.small_disk:
            # SQLite's file lies in the data directory; PostgreSQL gets a tablespace, its log stays where it is.
            disk = folder / "data" if server is None else server.home / f"disk-{folder.name}"
            stack.enter_context(small_disk(disk, megabytes=database_faults.SMALL_MB))
            if server is not None:
                tablespace = make_tablespace(server, disk)
                stack.callback(drop_tablespace, server, tablespace)
        place = Place("sqlite") if server is None else stack.enter_context(fresh(server, tablespace=tablespace))
        yield place, disk


def run(scenario: Scenario, scene: Scene) -> Report:
    """Play a scenario, let everybody go and hold the database against all promises."""
    began_s = time.monotonic()
    violations: list[str] = []
    with scene.pulse:
        try:
            judge = scenario.play(scene)
            scene.end()
            with Store(scene.place.url_for(scene.data_dir)) as store:
                judge(timeline.read(store))
                violations = verdict.violations(scene, store)
        except (AssertionError, Exception) as error:  # noqa: BLE001 - one broken run must not hide the others
            scene.complaints.append(f"the run broke off: {error!r}")
        finally:
            scene.close()
    figures = {**scene.figures, **verdict.statuses(scene)}
    return Report(scene.complaints, violations, time.monotonic() - began_s, scene.pulse.longest_s, figures)
