"""Proposals: for every data set a study that is accepted, and that suits its size."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.domain.dataset import Column, ColumnKind, DatasetProfile
from hpsearch.domain.proposing import propose
from hpsearch.domain.study import BUILTIN_DATASETS, StudyDefinition
from hpsearch.ingest.intake import ingest_named
from hpsearch.service.context import Context
from hpsearch.service.studies.preview import preview


def _profile(n_rows: int, n_columns: int = 10, counts: tuple[int, ...] = ()) -> DatasetProfile:
    columns = tuple(Column(name=f"x{i}", kind=ColumnKind.REAL, n_unique=5) for i in range(n_columns))
    return DatasetProfile(
        n_rows=n_rows,
        columns=columns,
        target="y",
        task="regression" if not counts else "binary" if len(counts) == 2 else "multiclass",
        classes=tuple(f"c{i}" for i in range(len(counts))),
        class_counts=counts,
    )


@given(
    st.integers(2, 10_000_000),
    st.integers(1, 3_000),
    st.lists(st.integers(1, 1_000_000), min_size=2, max_size=50).map(tuple) | st.just(()),
)
def test_every_proposal_is_a_study(n_rows: int, n_columns: int, counts: tuple[int, ...]) -> None:
    proposal = propose(_profile(n_rows, n_columns, counts), {"id": "d"}, name="n")
    definition = StudyDefinition.model_validate(proposal.definition)
    assert definition.budget.max_trials is not None
    assert 30 <= definition.budget.max_trials <= 100
    fields = set(proposal.definition)
    assert {reason.field.partition(".")[0] for reason in proposal.reasons} <= fields


@pytest.mark.parametrize("name", BUILTIN_DATASETS)
def test_the_small_data_sets_get_studies_that_begin(context: Context, name: str, tmp_path: Path) -> None:
    profile = ingest_named("builtin", name, tmp_path).profile
    definition = StudyDefinition.model_validate(propose(profile, {"builtin": name}, name=name).definition)
    found = preview(context, definition)
    assert found.valid, found.errors
    assert not found.warnings


def test_more_rows_carry_deeper_networks_and_larger_batches() -> None:
    small, middle, large = (
        propose(_profile(n), {"id": "d"}, name="n").definition["space"] for n in (200, 20_000, 500_000)
    )
    assert small["layers"]["high"] < middle["layers"]["high"] < large["layers"]["high"]
    assert (
        max(small["batch_size"]["choices"]) < max(middle["batch_size"]["choices"]) < max(large["batch_size"]["choices"])
    )
    assert "batch_norm" not in small
    assert "batch_norm" in large


def test_few_rows_are_split_into_folds() -> None:
    assert propose(_profile(150), {"id": "d"}, name="n").definition["split"] == {"folds": 5, "test": 0.2}
    assert propose(_profile(1_500), {"id": "d"}, name="n").definition["split"] == {"validation": 0.2, "test": 0.2}


@pytest.mark.parametrize(
    ("counts", "metric"),
    [
        ((), "mse"),
        ((500, 500), "accuracy"),
        ((799, 201), "accuracy"),
        ((950, 50), "balanced_accuracy"),
        ((900, 50, 50), "balanced_accuracy"),
    ],
)
def test_lopsided_classes_get_another_metric(counts: tuple[int, ...], metric: str) -> None:
    assert propose(_profile(1_000, counts=counts), {"id": "d"}, name="n").definition["objective"] == {"metric": metric}


def test_wide_tables_get_a_limit_of_weights() -> None:
    assert "constraints" not in propose(_profile(1_000, 100), {"id": "d"}, name="n").definition
    assert propose(_profile(1_000_000, 20_000), {"id": "d"}, name="n").definition["constraints"] == {
        "max_weights": 5_000_000
    }
