"""What the benchmark prints for a study: the table, both sides' scores, the goals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

from benchmarks.study_arms.arms import ABOUT, ENGINES, StudyRun
from benchmarks.study_arms.comparison import Alike, compare
from benchmarks.study_arms.definitions import STUDIES
from benchmarks.study_arms.plan import Plan

Runs = Mapping[str, Sequence[StudyRun]]

# The arm that ratios refer to.
BASE: Final = "optuna"
_HEADINGS: Final = (
    "arm",
    "command to model",
    "shortest to longest",
    "x Optuna + Keras",
    "until the command ends",
    "first result",
    "CPU",
    "epochs",
    "best",
    "mean",
    "cores without a trial",
    "largest process",
    "all processes",
)
_TIMES_GOALS: Final = {
    "digits-random": 12.0,
    "digits-bayesian": 10.0,
    "full": 10.0,
    "mixed": 10.0,
}
_FIRST_START_GOAL: Final = 1.15
_FIRST_RESULT_GOAL_S: Final = 3.0
_N_PROCESSES: Final = 5


def print_study(name: str, plan: Plan, runs: Runs) -> None:
    """Print everything about one study.

    Args:
        name: One of `STUDIES`.
        plan: Of the study.
        runs: The repeats of every arm, at least one of each.
    """
    last = f", {plan.confirm_top} confirmed over {plan.confirm_seeds} seeds" if plan.confirm_top else ""
    print(
        f"\n### {name}: {STUDIES[name].about}\n\n{plan.n_trials} trials, {plan.algorithm}{last}"
        f"{', the winner refitted' if plan.refit else ''}; up to {plan.stop.max_epochs} epochs; {plan.n_train:,} "
        f"training and {plan.n_validation:,} validation rows; scores are {plan.metric}. Medians of "
        f"{len(next(iter(runs.values())))}.\n"
    )
    alike = {arm: compare(runs[arm], runs[BASE], plan) for arm in runs if arm != BASE and BASE in runs}
    print("| " + " | ".join(_HEADINGS) + " |\n" + "|" + "---|" * len(_HEADINGS))
    for arm, repeats in runs.items():
        print("| " + " | ".join(_cells(arm, repeats, runs, alike.get(arm))) + " |")
    print()
    for arm, repeats in runs.items():
        print(f"Largest processes, {ABOUT[arm]}: {_processes(repeats)}.")
    for arm, found in alike.items():
        print(f"Scores, {ABOUT[arm]} less {ABOUT[BASE]}: {found.sentence()}")
    if BASE not in runs:
        print(f"{ABOUT[BASE]} was not measured: no speed may be compared.")
    _print_goals(name, runs, alike)


def times(ours: Sequence[StudyRun], others: Sequence[StudyRun]) -> float:
    """Return how many times as fast the first arm is: the median over the repeats, neighbours in time compared."""
    return median(other.wall_s / own.wall_s for own, other in zip(ours, others, strict=False))


def _cells(arm: str, repeats: Sequence[StudyRun], runs: Runs, found: Alike | None) -> list[str]:
    def middle(of: Callable[[StudyRun], float]) -> float:
        return median(of(run) for run in repeats)

    walls_s = [run.wall_s for run in repeats]
    return [
        ABOUT[arm],
        f"{median(walls_s):.1f} s",
        f"{min(walls_s):.1f} to {max(walls_s):.1f} s",
        f"{times(repeats, runs[BASE]):.2f}" if found is not None and found.is_alike else "-",
        f"{middle(lambda run: run.exit_s):.1f} s",
        f"{middle(lambda run: run.first_s):.1f} s",
        f"{middle(lambda run: run.cpu_s):.1f} s",
        f"{middle(lambda run: run.epochs):,.0f}",
        f"{middle(lambda run: run.best):.5g}",
        f"{middle(lambda run: run.mean):.5g}",
        f"{100 * middle(lambda run: run.idle_share):.0f} %",
        f"{max(run.peak_process_bytes for run in repeats) / 2**20:,.0f} MiB",
        f"{max(run.peak_tree_bytes for run in repeats) / 2**20:,.0f} MiB",
    ]


def _processes(repeats: Sequence[StudyRun]) -> str:
    """Return what the largest processes run and how much memory each has held at most."""
    peaks: dict[str, int] = {}
    for run in repeats:
        for named, held in run.largest.items():
            peaks[named] = max(held, peaks.get(named, 0))
    listed = sorted(peaks.items(), key=lambda peak: -peak[1])[:_N_PROCESSES]
    return ", ".join(f"`{named}` {held / 2**20:,.0f} MiB" for named, held in listed)


def _print_goals(name: str, runs: Runs, alike: Mapping[str, Alike]) -> None:
    later = runs.get("hpsearch-later")
    goal = _TIMES_GOALS.get(name)
    if later is not None and goal is not None and "hpsearch-later" in alike:
        if alike["hpsearch-later"].is_alike:
            found = times(later, runs[BASE])
            _print_goal(f"a later start {goal:g} times as fast as {ABOUT[BASE]}", f"{found:.2f}", met=found >= goal)
        else:
            print("Goal of speed: not decided, for the scores differ.")
    if later is not None and "hpsearch-first" in runs:
        slower = 1 / times(runs["hpsearch-first"], later)
        _print_goal(
            f"a first start {_FIRST_START_GOAL:g} times a later one", f"{slower:.2f}", met=slower <= _FIRST_START_GOAL
        )
    for arm in [arm for arm in runs if arm in ENGINES and arm != "hpsearch-reference"]:
        first_s = median(run.first_s for run in runs[arm])
        _print_goal(
            f"first result within {_FIRST_RESULT_GOAL_S:g} s, {ABOUT[arm]}",
            f"{first_s:.1f} s",
            met=first_s <= _FIRST_RESULT_GOAL_S,
        )


def _print_goal(goal: str, found: str, *, met: bool) -> None:
    print(f"Goal: {goal}: {found}, {'reached' if met else 'NOT reached'}.")
