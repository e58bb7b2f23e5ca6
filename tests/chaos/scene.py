"""Scene: the servers, workers and studies of one chaos run, and what the run has found out so far."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hpsearch.client import Client
from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.domain.study import StudyDefinition
from hpsearch.errors import UnavailableError
from hpsearch.wire.pages import StudyView
from tests.chaos.askers import Askers
from tests.chaos.fleet import Fleet
from tests.chaos.places import Place
from tests.chaos.proxy import FaultProxy
from tests.chaos.pulse import Pulse
from tests.chaos.replica import Replica
from tests.chaos.timeline import Timeline

HEARTBEAT_S: Final = 0.3
LEASE_S: Final = 1.5
REAPER_S: Final = 0.3
RHYTHM: Final = {
    "HPSEARCH_HEARTBEAT_S": str(HEARTBEAT_S),
    "HPSEARCH_LEASE_S": str(LEASE_S),
    "HPSEARCH_REAPER_S": str(REAPER_S),
}
_LOOK_S: Final = 0.15

# What a scenario still expects once everybody has gone and the database lies still.
Judge = Callable[[Timeline], None]


@dataclass
class Scene:
    """One run.

    Attributes:
        seed: Decides studies, victims and moments.
        place: Where the database lies.
        folder: For everything the run writes.
        scale: Share of the full load and of the number of faults.
        patience: Promises about seconds are stretched by this factor, for busy machines.
        complaints: What was expected and did not happen; a run without any has passed.
        figures: What was counted and measured, for the table.
        disk: The small disk the database lies on; None for the disk of the folder.
        objective: Whether results are the stub's, so that each can be recomputed.
    """

    seed: int
    place: Place
    folder: Path
    scale: float = 1.0
    patience: float = 1.0
    complaints: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    disk: Path | None = None
    objective: bool = True
    replicas: list[Replica] = field(default_factory=list)
    fleets: list[Fleet] = field(default_factory=list)
    crowds: list[Askers] = field(default_factory=list)
    pulse: Pulse = field(default_factory=Pulse)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.data_dir = self.folder / "data"

    # The parts.

    def serve(self, n: int = 1, *, environment: Mapping[str, str] | None = None, **replica: Any) -> Replica:
        """Start servers over one database and return the first."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        for number in range(n):
            log = self.folder / f"server-{len(self.replicas)}.log"
            variables = {**RHYTHM, **(environment or {})}
            self.replicas.append(Replica(log, self.data_dir, self.place.url, variables, **replica))
            # The first one makes the token; the others find it.
            self.replicas[-1].start(wait=number == 0)
        for one in self.replicas:
            one.wait_until_listening()
        return self.replicas[0]

    @property
    def token(self) -> str:
        """The local admin token."""
        return (self.data_dir / "token").read_text(encoding="utf-8").strip()

    def hire(self, n: int, *, url: str | None = None, trial_s: float = 0.3, epochs: int = 3, **more: Any) -> Fleet:
        """Start workers whose trials take ``trial_s`` seconds each."""
        stub = {
            "HPSEARCH_STUB_ENGINE": "1",
            "HPSEARCH_STUB_EPOCHS": str(epochs),
            "HPSEARCH_STUB_EPOCH_S": str(trial_s / epochs),
            **more.pop("environment", {}),
        }
        folder = self.folder / f"fleet-{len(self.fleets)}"
        where = url or self.replicas[0].url
        fleet = Fleet(folder, where, self.token, random.Random(self.rng.random()), stub, **more)
        self.fleets.append(fleet)
        fleet.hire(n)
        return fleet

    def ask(self, n: int, *, url: str | None = None, enqueue_to: str | None = None) -> Askers:
        """Start asking clients."""
        folder = self.folder / f"askers-{len(self.crowds)}"
        askers = Askers(folder, url or self.replicas[0].url, self.token, self.rng.randrange(2**31), enqueue_to)
        self.crowds.append(askers)
        askers.start(n)
        return askers

    @contextmanager
    def proxied(self) -> Iterator[FaultProxy]:
        """Yield a proxy before all servers."""
        with FaultProxy(self._ports, random.Random(self.rng.random())) as proxy:
            yield proxy

    def _ports(self) -> list[int]:
        return [replica.port for replica in self.replicas]

    def client(self) -> Client:
        """Return a client of the first server, patient enough for its restarts."""
        return Client(self.replicas[0].url, self.token, timeout=20, attempts=8)

    # What happens.

    def size(self, full: int, *, least: int = 1) -> int:
        """Return a number of the full table, scaled."""
        return max(least, round(full * self.scale))

    def create(self, definition: StudyDefinition) -> str:
        """Create a study and return its id."""
        with self.client() as client:
            return client.studies.create(definition, idempotency_key=f"{definition.name}-{self.seed}").study_id

    def look(self, study_id: str) -> StudyView | None:
        """Return the study; None when no server answers just now."""
        with suppress(UnavailableError), Client(self.replicas[0].url, self.token, timeout=5) as client:
            return client.studies.get(study_id)
        return None

    def is_over(self, study_id: str) -> bool:
        """Return whether the study has ended, as far as anybody can tell."""
        study = self.look(study_id)
        return study is not None and study.state in STUDY_FINAL

    def wait_for(self, study_id: str, condition: Callable[[StudyView], bool], what: str, timeout_s: float) -> None:
        """Wait until a study is as wanted; complain when it takes longer."""
        deadline_s = time.monotonic() + timeout_s * self.patience
        study = None
        while time.monotonic() < deadline_s:
            study = self.look(study_id) or study
            if study is not None and condition(study):
                return
            time.sleep(_LOOK_S)
        seen = "it was never seen" if study is None else f"it is {study.state} with {study.counts}"
        self.complaints.append(f"study {study_id}: no {what} within {timeout_s * self.patience:g} s; {seen}")

    def wait_for_trials(self, study_id: str, n: int, *, timeout_s: float = 60.0) -> None:
        """Wait until so many trials have finished."""
        self.wait_for(study_id, lambda study: study.n_trials >= n, f"{n} finished trials", timeout_s)

    def finish(self, study_id: str, n: int, *, timeout_s: float = 90.0) -> None:
        """Wait for the end of a study, and expect exactly ``n`` finished trials."""
        self.wait_for(study_id, lambda study: study.state in STUDY_FINAL, "end", timeout_s)
        study = self.look(study_id)
        if study is not None:
            self.expect(study.state == "COMPLETED", f"the study is COMPLETED, found {study.state}")
            self.expect(study.n_trials == n, f"exactly {n} trials have finished, found {study.n_trials}")
            self.figures["COMPLETE"] = self.figures.get("COMPLETE", 0) + study.counts["COMPLETE"]

    def while_running(self, study_id: str, act: Callable[[], object], *, every_s: float, times: int) -> int:
        """Act at intervals, at most so many times, until the study ends; return how often."""
        due_s = time.monotonic()
        for n in range(times):
            due_s += every_s
            time.sleep(max(0.0, due_s - time.monotonic()))
            if self.is_over(study_id):
                return n
            act()
        return times

    def expect(self, condition: bool, sentence: str) -> None:
        """Complain unless the condition holds."""
        if not condition:
            self.complaints.append(f"expected: {sentence}")

    def expect_quicker(self, seconds: float, limit_s: float, what: str) -> None:
        """Complain when something took longer than promised, stretched by the patience of this run."""
        allowed_s = limit_s * self.patience + self.pulse.longest_s
        self.expect(seconds < allowed_s, f"{what} takes less than {allowed_s:.2f} s, measured {seconds:.2f} s")

    # The end.

    def end(self) -> None:
        """Let everybody go, in order, and complain of who does not or has gone before."""
        for crowd in self.crowds:
            self.complaints += crowd.stop()
        for fleet in self.fleets:
            self.complaints += [] if fleet.mortal else fleet.deserters()
            self.complaints += fleet.retire()
        for replica in self.replicas:
            code = replica.stop()
            self.expect(code in (0, None), f"a server that is told to stop ends with 0, found {code}")

    def close(self) -> None:
        """End whatever is left."""
        for crowd in self.crowds:
            crowd.stop()
        for fleet in self.fleets:
            fleet.close()
        for replica in self.replicas:
            if replica.is_alive:
                replica.kill()

    def journals(self) -> list[Path]:
        """Return the journals of all who got answers."""
        noted = [fleet.journals() for fleet in self.fleets] + [crowd.journals() for crowd in self.crowds]
        return [path for paths in noted for path in paths]
