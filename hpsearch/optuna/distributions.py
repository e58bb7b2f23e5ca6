"""Parameters of a space as Optuna's distributions, and back."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpsearch.domain.parameters import FloatParameter, IntParameter, Parameter
from hpsearch.domain.space import Space
from hpsearch.errors import InvalidInputError


def distributions_of(space: Space) -> dict[str, BaseDistribution]:
    """Return the distribution of each searched parameter.

    Evenly spaced numbers keep their step. Steps on a logarithmic scale, which Optuna does not have, become the whole
    range; fixed parameters have no distribution.
    """
    return {name: _distribution(parameter) for name, parameter in space.searched().items()}


def _distribution(parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, FloatParameter):
        n_steps = parameter.steps
        step = None if n_steps is None or parameter.log else (parameter.high - parameter.low) / (n_steps - 1)
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=step)
    if isinstance(parameter, IntParameter):
        return IntDistribution(parameter.low, parameter.high, log=parameter.log, step=_int_step(parameter))
    return CategoricalDistribution(tuple(parameter.values))


def _int_step(parameter: IntParameter) -> int:
    """Return the distance of the values where it is the same between all of them, else 1."""
    if parameter.log or parameter.steps is None:
        return 1
    values = [int(value) for value in parameter.values or () if not isinstance(value, str)]
    gaps = {after - before for before, after in pairwise(values)}
    return gaps.pop() if len(gaps) == 1 else 1


def parameter_of(name: str, distribution: BaseDistribution) -> dict[str, Any]:
    """Return the parameter of a definition that has the same values.

    Args:
        name: For the error.
        distribution: Optuna's.

    Raises:
        InvalidInputError: It has choices that a definition can not hold, such as None.
    """
    if isinstance(distribution, FloatDistribution):
        raw: dict[str, Any] = {"type": "float", "low": distribution.low, "high": distribution.high}
        raw |= {"log": True} if distribution.log else {}
        if distribution.step is not None:
            raw["steps"] = round((distribution.high - distribution.low) / distribution.step) + 1
        return raw
    if isinstance(distribution, IntDistribution):
        raw = {"type": "int", "low": distribution.low, "high": distribution.high}
        raw |= {"log": True} if distribution.log else {}
        if distribution.step != 1:
            raw["steps"] = (distribution.high - distribution.low) // distribution.step + 1
        return raw
    if isinstance(distribution, CategoricalDistribution):
        odd = [one for one in distribution.choices if not _is_plain(one)]
        if odd:
            msg = f"{name}: the choice {odd[0]!r} can not stand in a study; choices are texts, numbers and truth values"
            raise InvalidInputError(msg, code="optuna.choice")
        return {"type": "categorical", "choices": list(distribution.choices)}
    msg = f"{name}: a {type(distribution).__name__} has no counterpart in a study's space"
    raise InvalidInputError(msg, code="optuna.distribution")


def _is_plain(choice: object) -> bool:
    if isinstance(choice, float):
        return math.isfinite(choice)
    return isinstance(choice, bool | int) or (isinstance(choice, str) and choice != "")
