"""The final model in words: one home for the sentences on the command line, on the page and in reports."""

from __future__ import annotations

from typing import Final, NamedTuple

from hpsearch.wire.final_model import FinalModel
from hpsearch.wording.figures import count, figure

TITLE: Final = "Final model"


class Fact(NamedTuple):
    """One line of the card.

    Attributes:
        label: What the figure is.
        value: The figure with its rows and interval.
        is_headline: Whether it is the figure to believe.
    """

    label: str
    value: str
    is_headline: bool = False


def headline(final: FinalModel) -> str:
    """Return the figure to believe in a few words, such as `accuracy 0.9749 (test)`."""
    which = {"test": "test", "mean": f"mean of {final.n_seeds} seeds", "chosen_at": "validation"}[final.believe]
    return f"{final.metric} {figure(final.value)} ({which})"


def facts(final: FinalModel) -> list[Fact]:
    """Return the card's lines: test, validation over seeds, what it was chosen at, and what selection added."""
    lines = []
    if final.test is not None:
        rows = f" on {count(final.n_test, 'row')}" if final.n_test else ""
        test = f"{figure(final.test)}{rows}{_interval(final.test_interval)}"
        lines.append(Fact(f"test {final.metric}", test, is_headline=True))
    if final.mean is not None:
        mean = f"{figure(final.mean)}, mean of {count(final.n_seeds or 0, 'seed')}{_interval(final.interval)}"
        lines.append(Fact(f"validation {final.metric}", mean, is_headline=final.believe == "mean"))
    rows = f" on {count(final.n_validation, 'validation row')}" if final.n_validation else " on the validation rows"
    chosen = f"{figure(final.chosen_at)}{rows}, trial {final.chosen}"
    lines.append(Fact("chosen at", chosen, is_headline=final.believe == "chosen_at"))
    return lines


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" (95 %: {figure(interval[0])} to {figure(interval[1])})"


def flattery(final: FinalModel) -> str:
    """Return in a sentence how far the value it was chosen at can be trusted."""
    if final.optimism is None:
        return "It was chosen for this value, so expect a little less on new rows: no test rows were opened."
    by_test = final.believe == "test"
    if final.optimism <= 0:
        return f"Selection did not flatter it: {'on the test rows' if by_test else 'over new seeds'} it is no worse."
    against = "test rows" if by_test else "mean over new seeds"
    return f"Selection flattered it by {figure(final.optimism, 2)}: believe the {against}."


def baseline_warning(final: FinalModel) -> str | None:
    """Return the sentence for a study whose search found nothing better than a baseline; None for others."""
    winner = final.beaten_by_baseline
    if winner is None:
        return None
    return (
        f"The search found nothing better than the {winner.name} (trial {winner.number}, {final.metric} "
        f"{figure(winner.value)} on the validation rows): the simpler model is the better choice."
    )


def against(final: FinalModel) -> str:
    """Return the baselines with their values, such as `linear model 0.9537, default network 0.9722`; may be empty."""
    return ", ".join(f"{one.name} {figure(one.value)}" for one in final.baselines)
