from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hpsearch._layout import apps_dir
from hpsearch.studyfile.reader import load_study

EXAMPLES = apps_dir() / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_example_is_a_valid_study(path: Path):
    study = load_study(path)
    assert study.definition("an-id").name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_other_yaml_readers_read_the_same(path: Path):
    assert yaml.safe_load(path.read_text()) == load_study(path).document.data


def test_each_algorithm_and_task_has_an_example():
    definitions = [load_study(path).definition("an-id") for path in FILES]
    assert {definition.algorithm.kind for definition in definitions} == {"grid", "random", "bayesian"}
    assert {definition.task for definition in definitions} == {None, "multiclass", "binary", "regression"}


def test_the_demo_is_the_promised_one():
    demo = load_study(EXAMPLES / "digits.yaml").definition()
    assert (demo.algorithm.kind, demo.max_trials) == ("bayesian", 40)
    assert (demo.confirm.top_k, demo.refit) == (0, "auto")


def test_mixed_csv_is_what_its_script_writes(tmp_path: Path):
    script = tmp_path / "make_mixed.py"
    script.write_text((EXAMPLES / "make_mixed.py").read_text())
    subprocess.run([sys.executable, script], check=True, timeout=60)
    assert (tmp_path / "mixed.csv").read_bytes() == (EXAMPLES / "mixed.csv").read_bytes()


def test_mixed_csv_has_categories_and_gaps_and_is_small():
    path = EXAMPLES / "mixed.csv"
    assert path.stat().st_size <= 40_000
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert any(row["city"] == "" for row in rows)
    assert any(row["age"] == "" for row in rows)
    assert all(row["cancelled"] in ("yes", "no") for row in rows)
    assert {row["plan"] for row in rows} == {"basic", "plus", "family"}
