"""Estimators for scikit-learn: a search that is fitted like any other model, in this process."""

from hpsearch.sklearn.estimators import HPSearchClassifier, HPSearchRegressor

__all__ = ["HPSearchClassifier", "HPSearchRegressor"]
