"""What of the contract says something of the reference, which is the truth of the rest."""

from __future__ import annotations

import pytest

from tests.workers.training.conformance.contract import assert_holds
from workers.training.conformance import points
from workers.training.conformance.arena import Arena
from workers.training.conformance.engines import make_engine
from workers.training.conformance.model_files import model_files


def test_a_dropped_trial_ends_within_an_epoch(arena: Arena) -> None:
    assert_holds(points.cancellation(arena, make_engine("reference")))


@pytest.mark.slow
def test_model_files_score_what_was_reported(arena: Arena) -> None:
    assert_holds(model_files(arena, make_engine("reference"), ["breast_cancer"]))
