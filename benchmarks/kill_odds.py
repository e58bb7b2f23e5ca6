"""How often random kills alone hit one trial five times: the row `kills` of `benchmarks.peers_queue`, simulated.

    python -m benchmarks.kill_odds [--runs 2000] [--seed 0]

A trial that loses five attempts is FAILED `lost_repeatedly`. This tells how many runs of the row would end with such a
trial if the queue did exactly what docs/lifecycle.md says: kills at intervals of a worker drawn at random, and leases
that lapse though nobody was killed, as they do on a machine too busy for heartbeats. The lowest number goes first, so a
trial that was lost is soon in training again, and may soon be lost again.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass
from typing import Final

from hpsearch.domain.lifecycle import MAX_INFRA_ATTEMPTS

_N_TRIALS: Final = 100
_N_WORKERS: Final = 6
_N_KILLS: Final = 29
_KILL_EVERY_S: Final = 2.0
_TRIAL_S: Final = 2.6  # 2.5 of training and a moment between two trials
_START_S: Final = 1.5  # until the worker hired for a killed one asks
_LEASE_S: Final = 1.5
_REAPER_S: Final = 0.3
_STEP_S: Final = 0.05


@dataclass
class _Worker:
    free_s: float = 0.0
    trial: int | None = None
    end_s: float = 0.0
    lapse_s: float = 0.0


class _Run:
    """One run, in steps of simulated time."""

    def __init__(self, rng: random.Random, lapse_share: float) -> None:
        self._rng = rng
        self._lapse_share = lapse_share
        self._crew = [_Worker() for _ in range(_N_WORKERS)]
        self._waiting = dict.fromkeys(range(_N_TRIALS), 0.0)
        self._lost = [0] * _N_TRIALS
        self.n_complete = self.n_failed = 0

    def play(self) -> None:
        """Go on until every trial has ended."""
        now_s, kill_s, n_kills = 0.0, _KILL_EVERY_S, 0
        while self.n_complete + self.n_failed < _N_TRIALS:
            now_s += _STEP_S
            for worker in self._crew:
                self._step(worker, now_s)
            if now_s >= kill_s and n_kills < _N_KILLS:
                n_kills, kill_s = n_kills + 1, kill_s + _KILL_EVERY_S
                self._lose(self._rng.choice(self._crew), now_s, away_s=_START_S)

    def _step(self, worker: _Worker, now_s: float) -> None:
        if worker.trial is not None and worker.lapse_s <= now_s:
            self._lose(worker, now_s, away_s=_LEASE_S)
        elif worker.trial is not None and worker.end_s <= now_s:
            worker.trial, self.n_complete = None, self.n_complete + 1
        if worker.trial is None and worker.free_s <= now_s:
            worker.trial = min((t for t, at_s in self._waiting.items() if at_s <= now_s), default=None)
            if worker.trial is not None:
                del self._waiting[worker.trial]
                worker.end_s = now_s + _TRIAL_S
                lapses = self._rng.random() < self._lapse_share
                worker.lapse_s = now_s + self._rng.random() * _TRIAL_S if lapses else float("inf")

    def _lose(self, worker: _Worker, now_s: float, *, away_s: float) -> None:
        worker.free_s = now_s + away_s
        lost, worker.trial = worker.trial, None
        if lost is None:
            return
        self._lost[lost] += 1
        if self._lost[lost] >= MAX_INFRA_ATTEMPTS:
            self.n_failed += 1
            return
        pause_s = _REAPER_S * (2 ** (self._lost[lost] - 1) - 1) * self._rng.uniform(0.5, 1.0)
        self._waiting[lost] = now_s + _LEASE_S + self._rng.random() * _REAPER_S + pause_s


def share_with_a_failed_trial(n_runs: int, lapse_share: float, rng: random.Random) -> float:
    """Return the share of runs in which a trial lost all its attempts.

    Args:
        n_runs: Runs simulated.
        lapse_share: Share of attempts that lose their lease though nobody was killed.
        rng: Draws everything.
    """
    n = 0
    for _ in range(n_runs):
        run = _Run(rng, lapse_share)
        run.play()
        n += run.n_failed > 0
    return n / n_runs


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kill_odds", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| attempts that lose their lease unkilled | runs with a FAILED trial |\n|---|---|")
    for lapse_share in (0.0, 0.05, 0.1, 0.2):
        share = share_with_a_failed_trial(options.runs, lapse_share, random.Random(options.seed))
        print(f"| {lapse_share:.0%} | {share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
