"""The worker processes of a chaos run: hired, killed, frozen, thawed; who ended without being told is known."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

WORK: Final = (sys.executable, "-m", "hpsearch.cli", "worker")
_RETIRE_TIMEOUT_S: Final = 30.0


@dataclass
class Member:
    """One worker process.

    Attributes:
        name: Unique in the run; the server knows it by this name.
        killed_at: When this driver killed it; None if it did not.
        is_retired: Whether this driver told it to go.
        is_frozen: Whether it is stopped by SIGSTOP.
    """

    name: str
    process: subprocess.Popen[bytes]
    killed_at: datetime | None = None
    is_retired: bool = False
    is_frozen: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether its process exists, frozen or not."""
        return self.process.poll() is None

    def trainers(self) -> list[psutil.Process]:
        """Return its trainer processes."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children()
        return []


@dataclass
class Fleet:
    """Workers that come and go.

    Attributes:
        folder: For logs, journals and their data cache.
        url: Of the server, or of what stands before it.
        token: Theirs.
        rng: Chooses victims.
        environment: Variables to set beside those of this process.
        flags: Besides address, token and name.
        command: What starts one, before the flags.
        mortal: Workers that end by themselves are part of the plan: a poison kills them.
    """

    folder: Path
    url: str
    token: str
    rng: random.Random
    environment: Mapping[str, str]
    flags: Sequence[str] = ("--engine", "stub")
    command: Sequence[str] = WORK
    mortal: bool = False
    members: list[Member] = field(default_factory=list)
    n_freezes: int = 0
    n_trainer_kills: int = 0

    def hire(self, n: int = 1) -> list[Member]:
        """Start workers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        hired = []
        for _ in range(n):
            name = f"w{len(self.members)}"
            arguments = ["--server", self.url, "--token", self.token, "--name", name]
            arguments += ["--work-dir", str(self.folder / "work"), *self.flags]
            environment = {**os.environ, **self.environment, "HPSEARCH_JOURNAL": str(self.folder / f"{name}.journal")}
            with (self.folder / f"{name}.log").open("ab") as sink:
                process = subprocess.Popen(
                    [*self.command, *arguments], env=environment,
                    stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True,
                )  # fmt: skip
            hired.append(Member(name, process))
            self.members.append(hired[-1])
        return hired

    def awake(self) -> list[Member]:
        """Return the workers that run and are not frozen."""
        return [member for member in self.members if member.is_alive and not member.is_frozen]

    def choose(self) -> Member:
        """Return a random one that runs and is not frozen."""
        return self.rng.choice(self.awake())

    def kill(self, member: Member) -> None:
        """SIGKILL a worker; the kernel takes its trainers with it."""
        member.killed_at = datetime.now(UTC)
        member.process.send_signal(signal.SIGKILL)
        member.process.wait()

    def kill_trainer(self, member: Member) -> bool:
        """SIGKILL one of a worker's trainer processes; return whether it had one."""
        for trainer in member.trainers():
            with suppress(psutil.NoSuchProcess):
                trainer.kill()
                self.n_trainer_kills += 1
                return True
        return False

    def freeze(self, member: Member) -> None:
        """SIGSTOP a worker and its trainers, as when a virtual machine is paused."""
        os.killpg(member.process.pid, signal.SIGSTOP)
        member.is_frozen = True
        self.n_freezes += 1

    def thaw(self, member: Member) -> None:
        """Let a frozen worker go on."""
        with suppress(ProcessLookupError):
            os.killpg(member.process.pid, signal.SIGCONT)
        member.is_frozen = False

    def replace_dead(self) -> int:
        """Hire one for each worker of a mortal fleet that has ended since, and return how many."""
        n_wanted = sum(member.killed_at is None for member in self.members)
        n_dead = n_wanted - sum(member.is_alive for member in self.members)
        for member in self.members:
            if not member.is_alive and member.killed_at is None:
                member.killed_at = datetime.now(UTC)
        self.hire(n_dead)
        return n_dead

    @property
    def n_kills(self) -> int:
        """How many workers were killed."""
        return sum(member.killed_at is not None for member in self.members)

    def deserters(self) -> list[str]:
        """Return one sentence for each worker that has ended though nobody killed it."""
        return [
            f"worker {member.name} ended with {member.process.returncode}: {self.said(member)[-500:]}"
            for member in self.members
            if not member.is_alive and member.killed_at is None and not member.is_retired
        ]

    def said(self, member: Member) -> str:
        """Return what a worker has written."""
        return (self.folder / f"{member.name}.log").read_text(encoding="utf-8", errors="replace")

    def journals(self) -> list[Path]:
        """Return the journals that were begun."""
        return sorted(self.folder.glob("*.journal"))

    def retire(self) -> list[str]:
        """Tell all workers to go and return one sentence for each that did not go in order."""
        staff = [member for member in self.members if member.is_alive]
        for member in staff:
            self.thaw(member)
            member.is_retired = True
            member.process.terminate()
        deadline_s = time.monotonic() + _RETIRE_TIMEOUT_S
        bad = []
        for member in staff:
            try:
                code = member.process.wait(max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                member.process.kill()
                member.process.wait()
                bad.append(f"worker {member.name} did not go within {_RETIRE_TIMEOUT_S:g} s")
                continue
            # Who has not yet registered may not yet listen to signals.
            if code != 0 and not (code == -signal.SIGTERM and "registered" not in self.said(member)):
                bad.append(f"worker {member.name} ended with {code}: {self.said(member)[-500:]}")
        return bad

    def close(self) -> None:
        """End every process that is left, at once."""
        for member in self.members:
            if member.is_alive:
                self.thaw(member)
                with suppress(ProcessLookupError):
                    os.killpg(member.process.pid, signal.SIGKILL)
                member.process.wait()
