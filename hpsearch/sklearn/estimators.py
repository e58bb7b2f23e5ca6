"""HPSearchClassifier and HPSearchRegressor: the whole search as one scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import numpy.typing as npt
from joblib import effective_n_jobs
from pydantic import ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from hpsearch.client.frames import frame_of, is_frame
from hpsearch.domain.algorithms import AlgorithmKind
from hpsearch.domain.proposing import propose
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.task import TaskName, task_for
from hpsearch.embedded.rows import training_table
from hpsearch.embedded.search import Found, search
from hpsearch.errors import HpsearchError
from hpsearch.studyfile.validation_messages import first_sentence

if TYPE_CHECKING:
    import polars as pl

    from hpsearch.data.table import Table
    from hpsearch.embedded.network import TrainedNetwork

_EXPECTED: Final = "a numpy array (n_samples, n_features) or a pandas or polars data frame"
_MAX_SEED: Final = 2**31 - 1
_LEAST_CLASSES: Final = 2


class _Search(BaseEstimator):
    """What both estimators are: parameters, the search, and asking the network.

    Parameters are described at `HPSearchClassifier`.
    """

    def __init__(  # noqa: PLR0913 - scikit-learn's way: every option is an argument
        self,
        max_trials: int = 30,
        *,
        space: Mapping[str, Any] | None = None,
        metric: str | None = None,
        algorithm: AlgorithmKind = "bayesian",
        max_epochs: int = 100,
        patience: int | None = 10,
        validation_fraction: float = 0.2,
        folds: int | None = None,
        max_weights: int | None = None,
        baselines: bool = True,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.max_trials = max_trials
        self.space = space
        self.metric = metric
        self.algorithm = algorithm
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.folds = folds
        self.max_weights = max_weights
        self.baselines = baselines
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _search(self, X: Any, target: npt.NDArray[Any], task: TaskName) -> None:  # noqa: N803 - scikit-learn's name
        frame = self._frame(X)
        name = _free_name(frame)
        try:
            table = training_table(frame.with_columns(_series(name, target)), name, task)
            definition = self._definition(table, task)
            found = search(table, task, definition, n_at_once=effective_n_jobs(self.n_jobs))
        except HpsearchError as error:
            raise ValueError(error.message) from error
        self._take(found)

    def _take(self, found: Found) -> None:
        self.network_: TrainedNetwork = found.network
        self.best_params_ = dict(found.best.params)
        self.best_score_ = found.best.value
        self.metric_ = found.metric
        self.trials_ = [
            {"number": one.number, "kind": one.kind.value, "state": one.outcome.state, "value": one.value, **one.params}
            for one in found.trials
        ]
        self.n_iter_ = max(1, found.best.outcome.best_epoch or 1)

    def _definition(self, table: Table, task: TaskName) -> StudyDefinition:
        """Return the search as a study's definition.

        Raises:
            ValueError: A parameter of this estimator can not be used; the message names it.
        """
        seed = int(check_random_state(self.random_state).randint(_MAX_SEED))
        split = {"folds": self.folds} if self.folds is not None else {"validation": float(self.validation_fraction)}
        proposed = propose(table.profile, {"id": "embedded"}, name=type(self).__name__).definition
        stopping = None if self.patience is None else {"patience": self.patience}
        wanted: dict[str, Any] = {
            "name": type(self).__name__,
            "dataset": {"id": "embedded"},
            "space": proposed["space"] if self.space is None else dict(self.space),
            "split": split | {"test": 0.0, "seed": seed},
            "algorithm": {"kind": self.algorithm, "seed": seed},
            "training": {"max_epochs": self.max_epochs, "early_stopping": stopping},
            "budget": {"max_trials": self.max_trials},
            "constraints": {"max_weights": self.max_weights},
            "baselines": bool(self.baselines),
            "task": task,
            "refit": "off",
        }
        if self.metric is not None:
            wanted["objective"] = {"metric": self.metric}
        elif "objective" in proposed:
            wanted["objective"] = proposed["objective"]
        plain = _plain(wanted)
        try:
            return StudyDefinition.model_validate(plain)
        except ValidationError as error:
            raise ValueError(first_sentence(error, plain, StudyDefinition)) from None

    def _frame(self, X: Any, *, reset: bool = False) -> pl.DataFrame:  # noqa: N803
        """Return checked rows as a frame with columns x0, x1, …, whatever the caller calls them."""
        if is_frame(X):
            # Texts and categories are columns like any others; scikit-learn's own check knows numbers only.
            checked = validate_data(self, X, reset=reset, skip_check_array=True)
            frame = frame_of(checked, what="X", expected=_EXPECTED)
            if not reset or frame.height:
                return frame.rename({name: f"x{place}" for place, name in enumerate(frame.columns)})
        numbers = validate_data(self, X, reset=reset, ensure_all_finite="allow-nan", dtype="numeric")
        return frame_of(numbers, what="X", expected=_EXPECTED)

    def _predictions(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        check_is_fitted(self)
        try:
            return self.network_.predictions(self._frame(X))
        except HpsearchError as error:
            raise ValueError(error.message) from error

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.non_deterministic = False
        return tags


class HPSearchClassifier(ClassifierMixin, _Search):
    """A classifier that searches its network and its training anew for each data set it is fitted on.

    `fit` tries `max_trials` configurations with the samplers of the server and the training kernels of the workers, in
    this process, and then trains the best one on all rows. Columns of texts and categories, and missing values, are
    prepared inside. Sample weights are not supported: `fit` takes none.

    Args:
        max_trials: Configurations to try, at least 1.
        space: What to search, as in a study's definition; one that suits the data when None.
        metric: What to improve on the rows held out, such as `accuracy`, `roc_auc` or `loss`; what suits the target
            when None.
        algorithm: `bayesian`, `random`, `grid` or another of `hpsearch.domain.algorithms.ALGORITHMS`.
        max_epochs: Passes over the training rows at most, per configuration.
        patience: Epochs without improvement before a configuration is given up; None never.
        validation_fraction: Share of the rows held out to judge by, above 0 to below 1; not read with `folds`.
        folds: Judge by that many folds instead.
        max_weights: Largest number of weights of a network; None for any.
        baselines: Try a linear model and a default network first, outside the budget.
        n_jobs: Configurations trained at the same time: None for 1, -1 for one on each core.
        random_state: Decides everything that is random; an int gives the same result each time.

    Attributes:
        classes_: Labels in the order of `predict_proba`'s columns.
        best_params_: The configuration that was chosen.
        best_score_: Its metric on the rows held out; it was chosen for it, so expect a little less on new rows.
        metric_: Which metric that is.
        trials_: What was tried, a dictionary each.
        n_iter_: Epochs the final network was trained for.
        n_features_in_: Columns of X.
        feature_names_in_: Their names, when X is a data frame.
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Search, train the best configuration on all rows, and return this estimator.

        Args:
            X: (n_samples, n_features) numbers, or a data frame.
            y: (n_samples,) labels.

        Raises:
            ValueError: A parameter or the data can not be used; the message says what was expected.
        """
        X, y = _checked_pair(self, X, y)  # noqa: N806
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < _LEAST_CLASSES:
            msg = f"a classifier needs at least 2 classes, received one class only: {self.classes_[0]!r}"
            raise ValueError(msg)
        self._search(X, codes.astype(np.int64), task_for(len(self.classes_)).name)
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class: (n_samples, n_classes)."""
        return self._predictions(X)

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """Return the likeliest label of each row: (n_samples,)."""
        chances = self._predictions(X)
        labels: npt.NDArray[Any] = self.classes_[chances.argmax(axis=1)]
        return labels


class HPSearchRegressor(RegressorMixin, _Search):
    """A regressor that searches its network and its training anew for each data set it is fitted on.

    Parameters and attributes are those of `HPSearchClassifier`, without classes; metrics are `mse`, `rmse`, `mae`, `r2`
    and `loss`.
    """

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Search, train the best configuration on all rows, and return this estimator.

        Args:
            X: (n_samples, n_features) numbers, or a data frame.
            y: (n_samples,) numbers.

        Raises:
            ValueError: A parameter or the data can not be used; the message says what was expected.
        """
        X, y = _checked_pair(self, X, y)  # noqa: N806
        self._search(X, np.asarray(y, dtype=np.float64), task_for(0).name)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return the predicted number of each row: (n_samples,)."""
        return self._predictions(X)


def _checked_pair(estimator: _Search, X: Any, y: Any) -> tuple[Any, npt.NDArray[Any]]:  # noqa: N803
    """Return rows and targets that belong together, and note names and number of the columns."""
    if y is None:
        msg = f"{type(estimator).__name__} requires y to be passed, but the target y is None"
        raise ValueError(msg)
    is_number = isinstance(estimator, HPSearchRegressor)
    if is_frame(X):
        validate_data(estimator, X, reset=True, skip_check_array=True)
        flat = column_or_1d(y, warn=True, dtype=np.float64 if is_number else None)
        if len(flat) != len(X):
            msg = f"Found input variables with inconsistent numbers of samples: {[len(X), len(flat)]}"
            raise ValueError(msg)
        return X, np.asarray(flat)
    return validate_data(  # type: ignore[no-any-return]
        estimator, X, y, reset=True, ensure_all_finite="allow-nan", dtype="numeric", y_numeric=is_number,
        ensure_min_samples=2,
    )  # fmt: skip


def _series(name: str, target: npt.NDArray[Any]) -> pl.Series:
    import polars as pl

    return pl.Series(name, target)


def _free_name(frame: pl.DataFrame) -> str:
    name = "target"
    while name in frame.columns:
        name += "_"
    return name


def _plain(value: Any) -> Any:
    """Return a value with numpy's numbers as Python's: grids of parameters are full of them."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value
