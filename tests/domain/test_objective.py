"""Which of two values of an objective is better, and what the definition refuses."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hpsearch.domain.metrics import KNOWN_METRICS, direction_of
from hpsearch.domain.objective import Objective, sort_key

LOSS, ACCURACY = Objective(metric="loss"), Objective(metric="accuracy")
BOTH = pytest.mark.parametrize("objective", [LOSS, ACCURACY], ids=["minimize", "maximize"])
FINITE = st.floats(-1e300, 1e300)


def test_smaller_losses_and_larger_accuracies_are_better():
    assert LOSS.better(0.1, 0.2)
    assert not LOSS.better(0.2, 0.1)
    assert ACCURACY.better(0.2, 0.1)
    assert not ACCURACY.better(0.1, 0.2)


@BOTH
@given(left=FINITE, right=FINITE)
def test_better_gain_best_and_sort_key_agree(objective: Objective, left: float, right: float):
    better = objective.better(left, right)
    assert better == (objective.gain(left, right) > 0)
    assert better == (objective.sort_key(left) < objective.sort_key(right))
    assert objective.best([right, left]) == (left if better else right)
    assert not (better and objective.better(right, left))


@BOTH
@given(values=st.lists(FINITE, min_size=1, max_size=8))
def test_nothing_is_better_than_the_best(objective: Objective, values: list[float]):
    best = objective.best(values)
    assert best in values
    assert not any(objective.better(value, best) for value in values)


@BOTH
def test_equal_and_undefined_values_are_not_better(objective: Objective):
    assert not objective.better(0.5, 0.5)
    assert not objective.better(math.nan, 0.5)
    assert not objective.better(0.5, math.nan)


@pytest.mark.parametrize("metric", sorted(KNOWN_METRICS))
def test_a_metric_brings_its_direction(metric: str):
    objective = Objective(metric=metric)
    assert objective.resolved_direction == direction_of(metric)
    assert objective.larger_is_better == (objective.resolved_direction == "maximize")
    assert Objective(metric=metric, direction=direction_of(metric)).better(1, 0) == objective.better(1, 0)
    assert objective.sort_key(0.25) == sort_key(0.25, direction_of(metric))


def test_an_unknown_metric_is_refused_with_the_known_ones():
    with pytest.raises(ValidationError, match=r"unknown metric 'auc'; known are accuracy, .*roc_auc"):
        Objective(metric="auc")


def test_the_wrong_direction_is_refused():
    with pytest.raises(ValidationError, match="loss is better when you minimize it, received maximize"):
        Objective(metric="loss", direction="maximize")
