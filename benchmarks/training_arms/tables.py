"""What the benchmark prints for a set: the table, the scores, the goals, and what was cut short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from benchmarks.training_arms.figures import (
    LEAST_COMPARED,
    Figures,
    best_keras,
    compare,
    figures,
    ratios,
    scores_of,
    shared_trials,
)
from benchmarks.training_arms.launch import QUICK_ARMS, Laboratory, Run
from benchmarks.training_arms.noise import verdict
from benchmarks.training_arms.workload import MAX_EPOCHS, SETS, Facts, ListName, Trial, useful_operations

ABOUT: Final = {
    "keras-1": "plain Keras loop, one process",
    "keras-cores": "plain Keras loop, a process a core",
    "keras-tuner": "Keras Tuner",
    "optuna": "Optuna + Keras",
    "reference": "our reference engine",
    "native": "native, from process start",
    "native-warm": "native, warm",
    "fused-first": "fused, first start ever",
    "fused-later": "fused, a later start",
    "fused-warm": "fused, warm",
}
# From the start of a process, on the plain list, by arm, device, set and length of the list.
_RATIO_GOALS: Final = {("native", "cpu", "digits", 64): 30.0, ("native", "cpu", "digits", 512): 50.0}
_RATE_GOALS: Final = {(arm, "gpu", "churn", 512): 100_000.0 for arm in ("fused-first", "fused-later", "fused-warm")}


def print_case(
    name: str,
    which: ListName,
    trials: Sequence[Trial],
    facts: Facts,
    runs: Mapping[str, Sequence[Run]],
    laboratory: Laboratory,
) -> None:
    """Print everything about one list on one set.

    Args:
        name: One of `SETS`.
        which: Of the lists of trials.
        trials: The whole list.
        facts: Sizes of the set.
        runs: The repeats of every arm that was measured.
        laboratory: Knows the device.
    """
    n_trials = len(trials)
    table = {arm: figures(repeats, n_trials) for arm, repeats in runs.items()}
    first = SETS[name]
    print(
        f"\n### {name}: {first.about}\n\n{n_trials} trials of {MAX_EPOCHS} epochs, {facts.n_train:,} training and "
        f"{facts.n_validation:,} validation rows, {_about_list(name, which)}\n"
    )
    _print_table(table, runs, useful_operations(trials, facts), n_trials, laboratory)
    _print_short_cuts(table, n_trials)
    alike = _print_scores(runs, table, facts)
    if which == "plain":
        _print_goals(name, n_trials, runs, table, laboratory, alike=alike)


def _about_list(name: str, which: ListName) -> str:
    if which == "full":
        return "trials drawn from the space of full.yaml"
    first = SETS[name]
    units = str(first.units[1]) if first.units[0] == first.units[1] else f"{first.units[0]} to {first.units[1]}"
    return f"{first.layers[0]} to {first.layers[1]} layers of {units} units, AdamW, batches of {first.batch_size}"


def _print_table(
    table: Mapping[str, Figures],
    runs: Mapping[str, Sequence[Run]],
    operations: float,
    n_trials: int,
    laboratory: Laboratory,
) -> None:
    base, numbers = best_keras(table), shared_trials(runs)
    on_gpu = laboratory.device_kind == "gpu"
    print("| arm | trials/h | slowest to fastest | x best Keras | CPU-s a trial | x best Keras | peak RSS | ", end="")
    print(("peak GPU | " if on_gpu else "") + f"of the matrix rate | best, mean of {len(numbers)} |")
    print("|" + "---|" * (9 + on_gpu))
    for arm, row in table.items():
        faster = f"{ratios(runs[arm], runs[base], n_trials):.2f}" if base else "-"
        cheaper = f"{min(table[a].cpu_s_per_trial for a in _keras(table)) / row.cpu_s_per_trial:.2f}" if base else "-"
        scores = scores_of(runs[arm], numbers)
        cells = [
            ABOUT[arm],
            f"{row.trials_per_h:,.0f}",
            f"{row.slowest_per_h:,.0f} to {row.fastest_per_h:,.0f}",
            faster,
            f"{row.cpu_s_per_trial:.3f}",
            cheaper,
            f"{row.peak_bytes / 2**20:,.0f} MiB",
            *([f"{row.device_peak_bytes / 2**20:,.0f} MiB"] if on_gpu else []),
            f"{100 * operations / row.wall_s / laboratory.rate:.2f} %",
            f"{max(scores):.4f}, {sum(scores) / len(scores):.4f}" if scores else "-",
        ]
        print("| " + " | ".join(cells) + " |")
    print(
        f"\nMatrix rate measured in this run: {laboratory.rate / 1e9:,.0f} GFLOP/s in float32 on "
        f"{laboratory.device_name}. The list needs {operations / 1e9:,.0f} GFLOP at its real widths, so "
        f"nothing could be faster than {3600 * n_trials * laboratory.rate / operations:,.0f} trials/h."
    )


def _keras(table: Mapping[str, Figures]) -> list[str]:
    return [arm for arm in table if arm not in QUICK_ARMS and arm != "reference"]


def _print_short_cuts(table: Mapping[str, Figures], n_trials: int) -> None:
    for n_measured in sorted({row.n_measured for row in table.values()} - {n_trials}):
        arms = [ABOUT[arm] for arm, row in table.items() if row.n_measured == n_measured]
        print(
            f"Cut short: {', '.join(arms)} trained the first {n_measured} trials of the list; their time is scaled to "
            f"{n_trials}, start-up and first trial once, the mean of the others for all others."
        )


def _print_scores(runs: Mapping[str, Sequence[Run]], table: Mapping[str, Figures], facts: Facts) -> bool | None:
    """Say whether the two sides train equally well; return whether they do, None if there is nothing to compare."""
    base, numbers = best_keras(table), shared_trials(runs)
    if base is None or len(numbers) < LEAST_COMPARED:
        print(f"No Keras arm with {LEAST_COMPARED} scores to compare with: no speed may be quoted from this table.")
        return None
    all_alike = True
    for arm in [arm for arm in table if arm not in _keras(table)]:
        found = compare(scores_of(runs[arm], numbers), scores_of(runs[base], numbers), facts.n_validation)
        all_alike &= found.is_alike
        print(
            f"Scores, {ABOUT[arm]} less {ABOUT[base]}: mean {found.mean_difference:+.4f} (standard error "
            f"{found.standard_error:.4f}), best {found.best_difference:+.4f} (spread of a trial {found.spread:.4f}): "
            f"{verdict(is_alike=found.is_alike)}."
        )
    for arm, repeats in runs.items():
        diverged = sum(score is None for score, _ in repeats[0].results.values())
        if diverged:
            print(f"{ABOUT[arm]}: {diverged} trials diverged.")
    return all_alike


def _print_goals(
    name: str,
    n_trials: int,
    runs: Mapping[str, Sequence[Run]],
    table: Mapping[str, Figures],
    laboratory: Laboratory,
    *,
    alike: bool | None,
) -> None:
    base = best_keras(table)
    for arm in table:
        key = (arm, laboratory.device_kind, name, n_trials)
        if key in _RATIO_GOALS and base is not None:
            goal, found = _RATIO_GOALS[key], ratios(runs[arm], runs[base], n_trials)
            _print_goal(
                f"{goal:g} times the best Keras arm", ABOUT[arm], f"{found:.2f}", is_fast=found >= goal, alike=alike
            )
        if key in _RATE_GOALS:
            goal, found = _RATE_GOALS[key], table[arm].trials_per_h
            _print_goal(f"{goal:,.0f} trials/h", ABOUT[arm], f"{found:,.0f}", is_fast=found >= goal, alike=alike)


def _print_goal(goal: str, arm: str, found: str, *, is_fast: bool, alike: bool | None) -> None:
    verdict = "reached" if is_fast and alike else "NOT reached"
    if is_fast and alike is None:
        verdict = "not decided, for there are no scores to compare"
    print(f"Goal: {goal}. {arm}: {found}, {verdict}.")
