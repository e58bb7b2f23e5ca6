"""What a sampler is asked and told: values without any tie to storage or Optuna."""

from __future__ import annotations

from dataclasses import dataclass

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.metrics import Direction
from hpsearch.domain.space import Space
from hpsearch.domain.study import Algorithm
from hpsearch.domain.trial import Params


@dataclass(frozen=True)
class NetworkShape:
    """What besides the parameters decides how many weights a network has, and how many it may have.

    Attributes:
        n_inputs: Width of the prepared input, at least 1.
        n_outputs: Width of the output: classes for multiclass, 1 otherwise.
        max_weights: Largest number of trainable weights a sampled network may have; None means any.
    """

    n_inputs: int
    n_outputs: int
    max_weights: int | None


@dataclass(frozen=True)
class Observation:
    """One earlier trial, as a sampler sees it.

    Attributes:
        params: Its configuration; may lie outside the space (a baseline), the model then leaves it out.
        state: COMPLETE and PRUNED teach their value, INFEASIBLE and FAILED the worst value seen, WAITING and RUNNING
            keep later points away, CANCELLED teaches nothing.
        value: The objective; None when there is none.
    """

    params: Params
    state: TrialState
    value: float | None


@dataclass(frozen=True)
class SuggestRequest:
    """A question for `n` configurations.

    Attributes:
        space: The search space.
        algorithm: Kind, seed and options.
        shape: For the weight limit.
        direction: Whether larger or smaller values are better.
        n: How many points are wanted, at least 1.
        first_index: `search_index` of the first of them; the others follow one by one.
        max_trials: Search trials of the whole study; decides how long a search explores before it trusts its
            model.
        observations: Earlier trials, oldest first where that is known; only algorithms that learn read them.
    """

    space: Space
    algorithm: Algorithm
    shape: NetworkShape
    direction: Direction
    n: int
    first_index: int
    max_trials: int
    observations: tuple[Observation, ...] = ()
