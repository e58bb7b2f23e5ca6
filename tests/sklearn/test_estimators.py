"""The estimators are scikit-learn's: its own checks pass, and they work where estimators are used."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import hpsearch
from hpsearch.sklearn import HPSearchClassifier, HPSearchRegressor
from tests.architecture.checkout import ROOT
from tests.interactive.conftest import customers

# A real search, kept short: the checks fit some hundred times.
_SPACE: dict[str, Any] = {
    "layers": 1, "units": 32, "batch_size": 16, "learning_rate": {"type": "float", "low": 0.01, "high": 0.05},
}  # fmt: skip
_CLASSIFIER = HPSearchClassifier(2, space=_SPACE, max_epochs=30, patience=5, baselines=False, random_state=0)
_REGRESSOR = HPSearchRegressor(2, space=_SPACE, max_epochs=60, patience=10, baselines=False, random_state=0)


@parametrize_with_checks([_CLASSIFIER, _REGRESSOR])
@pytest.mark.filterwarnings("default")
def test_scikit_learns_own_checks(estimator: Any, check: Any):
    check(estimator)


def test_a_search_finds_a_good_network():
    iris = load_iris(as_frame=True)
    model = HPSearchClassifier(6, random_state=1).fit(iris.data, iris.target_names[iris.target])
    assert model.score(iris.data, iris.target_names[iris.target]) > 0.9
    assert list(model.feature_names_in_) == list(iris.data.columns)
    assert model.best_params_ in [
        {name: one[name] for name in one if name not in ("number", "kind", "state", "value")} for one in model.trials_
    ]
    assert [one["kind"] for one in model.trials_] == ["baseline"] * 2 + ["search"] * 6
    assert model.best_score_ == max(one["value"] for one in model.trials_)


def test_the_same_seed_gives_the_same_network_with_any_number_of_jobs_for_random_search():
    rows, y = load_diabetes(return_X_y=True)
    alone = HPSearchRegressor(4, algorithm="random", max_epochs=5, random_state=3)
    first, again = alone.fit(rows, y).predict(rows), clone(alone).fit(rows, y).predict(rows)
    beside = clone(alone).set_params(n_jobs=2).fit(rows, y).predict(rows)
    assert np.array_equal(first, again)
    assert np.array_equal(first, beside)


def test_texts_categories_and_gaps_need_no_pipeline():
    frame = customers()
    model = clone(_CLASSIFIER).fit(frame.drop(columns="label"), frame["label"])
    assert set(model.predict(frame.drop(columns="label"))) <= {"leaves", "stays"}
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["age", "city", "visits", "label"]])
    again = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own
    rows = frame.drop(columns="label")
    assert np.array_equal(again.predict_proba(rows), model.predict_proba(rows))


def test_it_stands_in_pipelines_and_is_searched_over():
    rows, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), clone(_CLASSIFIER))
    assert cross_val_score(pipeline, rows, y, cv=2).mean() > 0.8
    over = GridSearchCV(pipeline, {"hpsearchclassifier__max_epochs": np.array([2, 30])}, cv=2).fit(rows, y)
    assert over.best_params_ == {"hpsearchclassifier__max_epochs": 30}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"space": {"lerning_rate": 0.1}}, "unknown parameter 'lerning_rate'"),
        ({"metric": "mse"}, "mse is not a metric of multiclass"),
        ({"max_trials": 0}, "budget.max_trials must be greater than or equal to 1, received 0"),
        ({"folds": 1}, "split.folds must be greater than or equal to 2, received 1"),
        ({"algorithm": "annealing"}, "algorithm.kind"),
    ],
)
def test_parameters_that_can_not_be_used_are_told(changes: dict[str, Any], told: str):
    rows, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=told):
        HPSearchClassifier(**changes).fit(rows, y)


def test_sample_weights_are_refused():
    rows, y = load_iris(return_X_y=True)
    with pytest.raises(TypeError, match="sample_weight"):
        clone(_CLASSIFIER).fit(rows, y, sample_weight=np.ones(len(y)))


def test_a_search_needs_no_tensorflow():
    program = (
        "import sys, hpsearch\n"
        "from tests.sklearn.test_estimators import _CLASSIFIER\n"
        "assert hpsearch.HPSearchClassifier is type(_CLASSIFIER)\n"
        "_CLASSIFIER.fit([[0.0], [1.0]] * 20, [0, 1] * 20).predict([[1.0]])\n"
        "assert not {'tensorflow', 'keras', 'sqlalchemy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)
    assert hpsearch.HPSearchRegressor is HPSearchRegressor


def test_frames_of_numbers_may_be_polars():
    import polars as pl

    frame = pd.DataFrame(load_iris().data, columns=list("abcd"))
    model = clone(_CLASSIFIER).fit(frame, load_iris().target)
    polars = pl.DataFrame({name: frame[name].to_numpy() for name in frame})
    assert np.array_equal(model.predict_proba(polars), model.predict_proba(frame))
