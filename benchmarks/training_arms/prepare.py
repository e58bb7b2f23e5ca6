"""A set on disk before any clock starts: as the service stores it, and as the arrays a user of Keras would have.

The arrays hold the same rows in the same split, already standardised; our engines read the stored content and do that
work themselves, on the clock.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.training_arms.workload import SETS, VALIDATION_FRACTION, Facts
from hpsearch.domain.dataset import DatasetProfile
from hpsearch.domain.study import Split


def split() -> Split:
    """Return how every set is divided."""
    return Split(validation=VALIDATION_FRACTION, test=0.0)


def prepare(name: str, folder: Path) -> None:
    """Write content, profile, arrays and facts of a set.

    Args:
        name: One of `SETS`.
        folder: Empty.
    """
    import numpy as np

    from hpsearch.data.table import read_table
    from hpsearch.ingest.builtin import builtin
    from hpsearch.ingest.content import write_content
    from hpsearch.ingest.generated import generated
    from workers.training.engine.rows import StudyRows, as_float32

    source = SETS[name].source
    described = builtin(source) if SETS[name].kind == "builtin" else generated(source)
    write_content(described.frame, folder / "content.parquet")
    (folder / "profile.json").write_text(described.profile.model_dump_json())
    profile = described.profile
    table = as_float32(read_table(folder / "content.parquet", profile, name))
    prepared = StudyRows(table, profile.task, split(), "float32").fold(0)
    assert prepared.held_out is not None
    np.savez(
        folder / "arrays.npz",
        train_inputs=prepared.train.inputs,
        train_targets=prepared.train.targets,
        validation_inputs=prepared.held_out.inputs,
        validation_targets=prepared.held_out.targets,
    )
    Facts(
        task=profile.task,
        n_inputs=prepared.preparation.n_inputs,
        n_outputs=prepared.preparation.n_outputs,
        n_train=len(prepared.train.rows),
        n_validation=len(prepared.held_out.rows),
    ).write(folder)


def profile_of(folder: Path) -> DatasetProfile:
    """Return the profile of a prepared set."""
    return DatasetProfile.model_validate_json((folder / "profile.json").read_text())
