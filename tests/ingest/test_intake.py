"""Files and names become stored content that reads back as it was."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import polars as pl
import pytest

from hpsearch.data.prepare import fit_preparation
from hpsearch.data.split import split_rows
from hpsearch.data.table import read_table
from hpsearch.domain.study import BUILTIN_DATASETS, GENERATED_DATASETS, Split
from hpsearch.errors import InvalidDatasetError, NotFoundError
from hpsearch.ingest.intake import ingest_named, ingest_upload
from hpsearch.ingest.parser_process import Limits

if TYPE_CHECKING:
    from pathlib import Path


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_upload_reads_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_text("age,job,smokes,risk\n30,clerk,true,low\n41.5,,false,high\n,miner,NA,low\n")
    ingested = ingest_upload(path, target="risk")
    assert ingested.content.stat().st_mode & 0o777 == 0o600
    table = read_table(ingested.content, ingested.profile, digest_of(ingested.content))
    assert np.array_equal(table.columns["age"], [30.0, 41.5, np.nan], equal_nan=True)
    assert np.array_equal(table.columns["smokes"], [1.0, 0.0, np.nan], equal_nan=True)
    assert table.columns["job"].tolist() == ["clerk", None, "miner"]
    assert table.target.tolist() == [1, 0, 1]
    assert table.profile.classes == ("high", "low")
    assert path.exists()


def test_the_same_data_in_each_format_is_the_same_content(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frame = pl.DataFrame(
        {"x0": random.normal(size=5_000), "x1": random.normal(size=5_000), "y": [0, 1, 2, 1, 0] * 1_000}
    )
    frame.write_csv(tmp_path / "1")
    pl.concat([frame[:1_234], frame[1_234:]], rechunk=False).write_parquet(tmp_path / "2", row_group_size=700)
    np.savez(tmp_path / "3.npz", X=frame.select("x0", "x1").to_numpy(), y=frame["y"].to_numpy())
    ingested = [ingest_upload(tmp_path / name, target="y") for name in ("1", "2", "3.npz", "1")]
    assert len({digest_of(one.content) for one in ingested}) == 1
    assert len({one.profile.model_copy(update={"warnings": ()}).model_dump_json() for one in ingested}) == 1


def test_a_refusal_carries_its_code_and_place(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_text("a,y\n1,0\n2,\n")
    with pytest.raises(InvalidDatasetError, match="row 2 has no value for the target 'y'") as refused:
        ingest_upload(path, target="y")
    assert refused.value.code == "dataset.target_missing"
    assert refused.value.details == {"row": 2, "column": "y"}


@pytest.mark.parametrize("target", ["no\x00such", "\ud800", "y'; DROP TABLE", "-x", "ß" * 10_000])
def test_strange_target_names_are_just_not_found(tmp_path: Path, target: str) -> None:
    path = tmp_path / "upload"
    path.write_text("a,y\n1,0\n2,1\n")
    with pytest.raises(InvalidDatasetError, match="is not a column of the file") as refused:
        ingest_upload(path, target=target)
    assert len(str(refused.value)) < 700


def test_a_given_task_reaches_the_parser(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_text("a,y\n1,0\n2,1\n3,0\n")
    assert ingest_upload(path, target="y", task="regression").profile.task == "regression"


def test_limits_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    with path.open("wb") as file:
        os.truncate(file.fileno(), 1 << 30)
    assert Limits.for_file(path).wall_s == pytest.approx(188)
    assert Limits.for_file(path).cpu_s == 168


def test_the_child_starts_lean() -> None:
    program = (
        "import sys, hpsearch.ingest.child, hpsearch.data.reading.open_file, hpsearch.ingest.describe\n"
        "print([name for name in ('sklearn', 'scipy', 'sqlalchemy', 'optuna', 'structlog') if name in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"


SHAPES: dict[str, tuple[int, int, str, int]] = {
    "digits": (1_797, 64, "multiclass", 10),
    "iris": (150, 4, "multiclass", 3),
    "wine": (178, 13, "multiclass", 3),
    "breast_cancer": (569, 30, "binary", 2),
    "diabetes": (442, 10, "regression", 0),
    "classification": (3_000, 20, "multiclass", 4),
    "quantiles": (3_000, 12, "multiclass", 5),
    "friedman1": (2_000, 10, "regression", 0),
    "moons": (2_000, 2, "binary", 2),
    "churn": (6_400, 11, "binary", 2),
    "medium": (20_000, 50, "multiclass", 5),
    "large": (200_000, 100, "multiclass", 10),
}


def test_every_name_has_a_shape() -> None:
    assert set(SHAPES) == {*BUILTIN_DATASETS, *GENERATED_DATASETS}
    assert get_args(type_of_source()) == ("builtin", "generated")


def type_of_source() -> Any:
    import typing

    return typing.get_type_hints(ingest_named, localns={"Path": object, "Ingested": object})["source"]


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "large"])
def test_named_sets(name: str, tmp_path: Path) -> None:
    source: Any = "builtin" if name in BUILTIN_DATASETS else "generated"
    ingested = ingest_named(source, name, tmp_path)
    profile = ingested.profile
    assert (profile.n_rows, len(profile.columns), profile.task, len(profile.classes)) == SHAPES[name]
    again = ingest_named(source, name, tmp_path)
    assert digest_of(again.content) == digest_of(ingested.content)
    table = read_table(ingested.content, profile, digest_of(ingested.content))
    rows = split_rows(table, profile.task, Split())
    inputs = fit_preparation(table, profile.task, rows.folds[0].train).inputs(table, np.arange(table.n_rows))
    assert np.isfinite(inputs).all()


def test_the_large_set(tmp_path: Path) -> None:
    profile = ingest_named("generated", "large", tmp_path).profile
    assert (profile.n_rows, len(profile.columns), profile.task, len(profile.classes)) == SHAPES["large"]


def test_built_in_sets_are_scikit_learns(tmp_path: Path) -> None:
    from sklearn.datasets import load_breast_cancer, load_digits

    ingested = ingest_named("builtin", "breast_cancer", tmp_path)
    table = read_table(ingested.content, ingested.profile, "d")
    bunch = load_breast_cancer()
    assert [column.name for column in ingested.profile.columns] == bunch.feature_names.tolist()
    assert ingested.profile.classes == ("malignant", "benign")
    assert np.array_equal(table.target, bunch.target)
    assert np.array_equal(np.column_stack(list(table.columns.values())), bunch.data)
    digits = ingest_named("builtin", "digits", tmp_path)
    assert np.array_equal(read_table(digits.content, digits.profile, "d").target, load_digits().target)


@pytest.mark.parametrize(
    "name", ["mnist", "../digits", "", "http://169.254.169.254/", "file:///etc/passwd", "digits\x00"]
)
def test_unknown_names(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="known are digits, iris"):
        ingest_named("builtin", name, tmp_path)
    assert list(tmp_path.iterdir()) == []
