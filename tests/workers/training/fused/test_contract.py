"""What is particular to stacked programs, the fast part; all of it is `python -m workers.training.fused.verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from workers.training.engine.numerics import DType
    from workers.training.fused.verify import Finding


def _assert_holds(findings: list[Finding]) -> None:
    assert findings
    broken = [finding for finding in findings if not finding.holds]
    assert not broken, "\n".join(f"{finding.what}: {finding.worst} > {finding.bound}" for finding in broken)


@pytest.mark.parametrize(("dtype", "n_steps"), [("float64", 60), ("float32", 200)])
def test_point_1_each_optimizer_steps_as_kerass(dtype: DType, n_steps: int) -> None:
    from workers.training.fused.verify import updates

    findings = updates.check(dtype, n_steps)
    assert len(findings) == 7
    _assert_holds(findings)


@pytest.mark.slow
@pytest.mark.parametrize("data", ["diabetes", "digits"])
def test_point_2_curves_and_weights_are_kerass_over_400_steps(data: str) -> None:
    from workers.training.fused.verify import curves

    # Another eighth of the cases on each set of data, in the program of all; but of those with wide layers, all four.
    every, offset = {"diabetes": (8, 2), "digits": (1, 0)}[data]
    _assert_holds(curves.check([data], n_epochs=34, every=every, offset=offset))


def test_point_3_members_do_not_touch_each_other() -> None:
    from workers.training.fused.verify import isolation

    findings = isolation.check(["iris"])
    assert all(finding.bound == 0 for finding in findings)
    _assert_holds(findings)


def test_point_4_a_mask_does_not_depend_on_the_program() -> None:
    from workers.training.fused.verify import dropout

    _assert_holds(dropout.same_masks())


def test_point_5_gradients_agree_with_finite_differences() -> None:
    from workers.training.fused.verify import gradients

    _assert_holds(gradients.check())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_number_that_is_none_is_infinitely_far(wrong: float) -> None:
    from workers.training.fused.verify.bench import gap

    right = [np.zeros(2), np.ones((2, 3))]
    assert gap(right, [np.zeros(2), np.full((2, 3), 1.5)]) == 0.5
    assert gap(right, [np.zeros(2), np.array([[1.0, wrong, 1.0]] * 2)]) == np.inf
    assert gap(right, [np.array([wrong, 0.0]), right[1]]) == np.inf
