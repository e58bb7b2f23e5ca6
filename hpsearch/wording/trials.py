"""Names of trial kinds and of baselines."""

from __future__ import annotations

from collections.abc import Mapping

from hpsearch.domain.lifecycle import TrialKind


def baseline_name(params: Mapping[str, object]) -> str:
    """Return which baseline the parameters of a baseline trial are."""
    return "linear model" if params.get("layers") == 0 else "default network"


def kind_of_trial(kind: str, params: Mapping[str, object]) -> str:
    """Return what a trial is beyond a search trial; empty for one."""
    if kind == TrialKind.SEARCH:
        return ""
    return baseline_name(params) if kind == TrialKind.BASELINE else kind
