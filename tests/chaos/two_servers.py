"""Two servers on one PostgreSQL, each with a data directory of its own, killed one after the other: nothing is lost.

Told command by command, as somebody at a terminal would see it:

    python -m tests.chaos.two_servers                              # contents in the database
    python -m tests.chaos.two_servers --content files:/a/folder    # or wherever
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hpsearch.client import Client
from hpsearch.domain.lifecycle import STUDY_FINAL
from tests.chaos.places import fresh, own_postgres
from tests.chaos.replica import Replica
from tests.processes import hpsearch

# So that trials of the dead are given to others soon.
QUICK: Final = {"HPSEARCH_LEASE_S": "4", "HPSEARCH_HEARTBEAT_S": "1", "HPSEARCH_REAPER_S": "0.5"}
_STUDY: Final = """name: shared
dataset: {path: data.csv, target: label}
space:
  units: {type: int, low: 4, high: 16}
  learning_rate: {type: float, low: 1.0e-3, high: 1.0e-1, log: true}
algorithm: {kind: random, seed: 0}
budget: {max_trials: 6}
training: {max_epochs: 40}
baselines: false
refit: "off"
engine: native
"""
_N_TRIALS: Final = 6
_TIMEOUT_S: Final = 150.0


class Story:
    """What happens, told as it happens.

    Args:
        folder: Of files, data directories and logs.
        database_url: An empty PostgreSQL database.
        content: For HPSEARCH_CONTENT; empty for the default.
    """

    def __init__(self, folder: Path, database_url: str, content: str = "") -> None:
        self.folder = folder
        self._environment = {"HPSEARCH_CONTENT": content, **QUICK}
        self.servers = {
            name: Replica(folder / f"{name}.log", folder / name, database_url, self._environment) for name in "ab"
        }
        self.worker: subprocess.Popen[bytes] | None = None

    def start(self, name: str) -> None:
        """Start a server."""
        self.servers[name].start()
        say(f"$ hpsearch serve --data-dir {name} --database-url postgresql://…   # server {name}, at {self.url(name)}")

    def kill(self, name: str) -> None:
        """SIGKILL a server."""
        say(f"$ kill -9 {self._process(name).pid}   # server {name}")
        self.servers[name].kill()

    def url(self, name: str) -> str:
        """Return the address of a server."""
        return self.servers[name].url

    def run(self, command: str, *, at: str, environment: Mapping[str, str] | None = None) -> str:
        """Run a command against a server, tell what it says, and return that.

        Raises:
            AssertionError: It failed.
        """
        say(f"$ hpsearch {command}   # at server {at}")
        told = {"HPSEARCH_SERVER": self.url(at), "HPSEARCH_TOKEN": self.token, **(environment or {})}
        done = subprocess.run(
            hpsearch(*shlex.split(command)), cwd=self.folder, env={**os.environ, **told},
            capture_output=True, text=True, check=False, timeout=_TIMEOUT_S,
        )  # fmt: skip
        said = done.stdout + done.stderr
        say("".join(f"  {line}\n" for line in said.splitlines()).rstrip("\n"))
        assert done.returncode == 0, f"{command}: exit code {done.returncode}"
        return said

    def refused(self, name: str, content: str) -> str:
        """Start a server with another content store and return why it does not start."""
        say(f"$ HPSEARCH_CONTENT={content} hpsearch serve --data-dir {name} --database-url postgresql://…")
        one = Replica(
            self.folder / f"{name}.log", self.folder / name, self.servers["a"].database_url,
            {**QUICK, "HPSEARCH_CONTENT": content},
        )  # fmt: skip
        one.start(wait=False)
        assert one.process is not None
        assert one.process.wait(60) == 1
        said = one.log.read_text(encoding="utf-8").strip().splitlines()[-1]
        say(f"  {said}")
        return said

    def work(self, at: str) -> None:
        """Start a worker that has nothing yet, at a server."""
        say(f"$ hpsearch worker --server {self.url(at)} --work-dir empty   # its cache is empty")
        command = hpsearch("worker", "--server", self.url(at), "--work-dir", str(self.folder / "empty"))
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                command, env={**os.environ, **QUICK, "HPSEARCH_TOKEN": self.token}, stdout=log, stderr=log
            )

    @property
    def token(self) -> str:
        """The admin token that server a made, which every server takes."""
        return (self.folder / "a" / "token").read_text(encoding="utf-8").strip()

    def wait_for_trials(self, n: int, at: str) -> None:
        """Return once so many trials are complete, or the study has ended."""
        deadline = time.monotonic() + _TIMEOUT_S
        with Client(self.url(at), self.token) as client:
            while time.monotonic() < deadline:
                study = client.studies.get("shared")
                if study.counts["COMPLETE"] >= n or study.state in STUDY_FINAL:
                    say(f"  … {study.counts['COMPLETE']} of {_N_TRIALS} trials complete")
                    return
                time.sleep(0.1)
        raise AssertionError((self.folder / "worker.log").read_text(encoding="utf-8", errors="replace")[-2000:])

    def _process(self, name: str) -> subprocess.Popen[bytes]:
        process = self.servers[name].process
        assert process is not None
        return process

    def close(self) -> None:
        """End what was started."""
        if self.worker is not None:
            self.worker.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.worker.wait(20)
            self.worker.kill()
            self.worker.wait()
        for server in self.servers.values():
            server.stop()


def say(text: str) -> None:
    """Tell a line."""
    if text:
        print(text, flush=True)


@contextmanager
def story(folder: Path, database_url: str, content: str = "") -> Iterator[Story]:
    """Yield a story; what it starts is ended."""
    one = Story(folder, database_url, content)
    try:
        yield one
    finally:
        one.close()


def tell(one: Story) -> None:
    """Play the story.

    Raises:
        AssertionError: Something was lost.
    """
    rows = "".join(f"{i % 13},{i % 7},{'xy'[(i % 13 + i % 7) > 9]}\n" for i in range(240))
    (one.folder / "data.csv").write_text(f"first,second,label\n{rows}", encoding="utf-8")
    (one.folder / "study.yaml").write_text(_STUDY, encoding="utf-8")
    one.start("a")
    one.start("b")
    one.run("datasets add data.csv", at="a")
    one.kill("a")
    one.run("submit study.yaml", at="b")
    one.work(at="b")
    one.wait_for_trials(1, at="b")
    one.kill("b")
    one.start("a")
    one.start("b")
    one.wait_for_trials(_N_TRIALS, at="b")
    one.kill("b")
    one.run("studies", at="a")
    one.run("best shared --download best.keras", at="a")
    one.kill("a")
    one.start("b")
    one.run("best shared --download again.keras", at="b")
    assert (one.folder / "best.keras").read_bytes() == (one.folder / "again.keras").read_bytes()
    one.run("predict best.keras data.csv --out predictions.csv", at="b")
    (one.folder / "elsewhere").mkdir()
    said = one.refused("c", f"files:{one.folder / 'elsewhere'}")
    assert "the data sets and models of this database are in" in said
    listed = one.run("tokens list", at="b")
    assert listed.count("local ") >= 2
    with Client(one.url("b"), one.token) as client:
        study = client.studies.get("shared")
        assert (study.state, study.counts["COMPLETE"], study.counts["FAILED"]) == ("COMPLETED", _N_TRIALS, 0)


def main() -> int:
    """Play the story on a PostgreSQL server of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.two_servers", description=__doc__.splitlines()[0])
    parser.add_argument("--content", default="", metavar="PLACE", help="for HPSEARCH_CONTENT")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, own_postgres() as server, fresh(server) as place:
        assert place.url is not None
        with story(Path(folder), place.url, options.content) as one:
            tell(one)
    say("Nothing was lost.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
