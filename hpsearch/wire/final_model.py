"""The final model of a study: the one it hands out, with the figure to believe about it."""

from __future__ import annotations

from typing import Literal

from hpsearch.domain.metrics import Direction
from hpsearch.domain.selection import Selection
from hpsearch.domain.strict import Lenient
from hpsearch.domain.trial import Params

Believe = Literal["test", "mean", "chosen_at"]


class BaselineResult(Lenient):
    """A baseline of the study, for comparison.

    Attributes:
        name: `linear model` or `default network`.
        value: The objective on the validation rows at its best epoch, of one seed.
        has_model: Whether its model file can be had.
    """

    trial_id: str
    number: int
    name: str
    value: float
    has_model: bool = False


class FinalModel(Selection):
    """The model a study hands out when it has ended, and what to expect of it.

    Attributes:
        trial_id: The trial whose weights the model has.
        number: Its number in the study.
        kind: `refit`: trained on training and validation rows and judged once by the test rows. `search` or
            `baseline`: the chosen trial's own model.
        metric: The study's objective; all figures here are values of it.
        direction: Which way is better.
        value: The figure to believe.
        believe: Which figure that is: `test`, `mean` over new seeds, or `chosen_at` where there is no other.
        test: On the test rows, which were opened once, for this model; None when they were not.
        n_test: How many test rows there are.
        test_interval: Low and high end of the 95 % interval of a test accuracy (Wilson's score interval for `n_test`
            rows); None for other metrics.
        optimism: By how much `chosen_at` is better than the figure to believe, in units of the metric: what selection
            flattered the winner by, and chance. Negative when it is worse; None when there is nothing to compare.
        baselines: The study's baselines, the best first.
        beaten_by_baseline: The best baseline, if on the validation rows it is at least as good as the best search trial
            (by its mean over seeds where confirmed); else None.
    """

    trial_id: str
    number: int
    kind: str
    params: Params
    n_weights: int | None = None
    metric: str
    direction: Direction
    value: float
    believe: Believe
    test: float | None = None
    n_test: int | None = None
    test_interval: tuple[float, float] | None = None
    optimism: float | None = None
    baselines: tuple[BaselineResult, ...] = ()
    beaten_by_baseline: BaselineResult | None = None
