"""Compiled programs that outlive their process: found again, the same to the last bit, and never a reason to fail."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from hpsearch.domain.mlp import MlpConfig
from workers.devices import Gpu
from workers.training.fused.graph import compile_cache
from workers.training.fused.graph.program_key import Features, ProgramKey

_PLAIN = Features.of(MlpConfig(units=(4,), optimizer="sgd"))
_KEY = ProgramKey("binary", 3, 1, 10, 5, 1, 64, 4, 4, _PLAIN, 1)

# Trains four trials by one program and prints what came of it, and what was kept.
_PROCESS = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
from workers.training.fused.engine import FusedEngine
from workers.training.fused.verify import steady
from workers.training.fused.verify.bench import Bench, SameRows

class Sink(steady._Silence):
    def epoch(self, task, measurement):
        print(task.trial.number, measurement.epoch, sorted(measurement.metrics.items()))

root = Path(sys.argv[1])
engine = FusedEngine(programs=root, explain=lambda _: None, n_slots=4)
bench = Bench("iris", "float32")
engine.rows = SameRows(bench.rows)
engine.train([steady.task_of(bench, number, root) for number in (4, 5, 6, 7)], Sink())
"""


def _trained(root: Path) -> tuple[list[str], dict[Path, tuple[int, int]]]:
    """Return the sorted reports of a fresh process, and size and instant of the programs there are afterwards."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(
        [sys.executable, "-c", _PROCESS, str(root)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    programs = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in root.glob("*/*.pb")}
    return sorted(done.stdout.splitlines()), programs


@pytest.mark.slow
def test_the_next_process_finds_them_and_a_broken_one_is_compiled_again(tmp_path: Path) -> None:
    first, made = _trained(tmp_path)
    assert len(first) == 4 * 8
    assert len(made) == 1
    second, found = _trained(tmp_path)
    assert second == first
    assert found == made
    for path in made:
        os.truncate(path, 1_000)
    third, _ = _trained(tmp_path)
    assert third == first


def test_functions_are_named_by_the_program_alone() -> None:
    from tensorflow.python.framework import ops

    def names(key: ProgramKey) -> list[int]:
        with compile_cache.stable_names(key):
            return [ops.uid() for _ in range(3)]

    before = ops.uid()
    assert names(_KEY) == names(_KEY)
    assert not set(names(_KEY)) & set(names(replace(_KEY, n_slots=8)))
    assert before < ops.uid() < before + 100


def test_they_can_be_forgotten(tmp_path: Path) -> None:
    (tmp_path / "program.pb").touch()
    compile_cache.clear_cache(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make TensorFlow look as if nothing had been computed in this process, and its flags as if nobody had set them."""
    monkeypatch.setattr(compile_cache, "_has_computed", lambda: False)
    monkeypatch.setenv("TF_XLA_FLAGS", "")


def test_the_folder_stays_within_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused: None) -> None:
    monkeypatch.setattr(compile_cache, "_MAX_BYTES", 1_000)
    folder = compile_cache.enable_compile_cache(tmp_path)
    assert folder is not None
    assert str(folder) in os.environ["TF_XLA_FLAGS"]
    assert folder.stat().st_mode & 0o077 == 0
    for age in range(6):
        (folder / f"{age}.pb").write_bytes(b"x" * 300)
        os.utime(folder / f"{age}.pb", (10_000 - age, 10_000))
    # Told already, by the first call: the second leaves everything as it is.
    assert compile_cache.enable_compile_cache(tmp_path) == folder
    assert compile_cache.enable_compile_cache(tmp_path / "other") is None
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    compile_cache.enable_compile_cache(tmp_path)
    assert {path.name for path in folder.glob("*.pb")} == {"0.pb"}


def test_an_engine_does_without_where_the_folder_can_not_be_used(tmp_path: Path, device: object, unused: None) -> None:
    from workers.training.fused.engine import FusedEngine

    (tmp_path / "file").touch()
    said: list[str] = []
    FusedEngine(device=device, explain=said.append, programs=tmp_path / "file")
    assert any("not kept" in line for line in said)
    assert not os.environ["TF_XLA_FLAGS"]


def test_it_is_too_late_once_tensorflow_has_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tensorflow as tf

    monkeypatch.setenv("TF_XLA_FLAGS", "")
    tf.constant(1.0)
    assert compile_cache.enable_compile_cache(tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("ends", "is_kept"), [((0, 0), True), ((0, 1), False), ((1,), False)])
def test_on_a_gpu_keeping_is_tried_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused: None, ends: tuple[int, ...], is_kept: bool
) -> None:
    asked: list[dict[str, str]] = []

    def run(_: object, *, env: dict[str, str], **__: object) -> SimpleNamespace:
        # The first writes its program where it is told to, as TensorFlow does.
        place = env["TF_XLA_FLAGS"].split("directory=")[1].split()[0]
        (Path(place) / "program.pb").touch()
        asked.append(env)
        return SimpleNamespace(returncode=ends[len(asked) - 1])

    monkeypatch.setattr(compile_cache, "find_gpus", lambda: (Gpu("GPU-1", "a card", None),))
    monkeypatch.setattr("workers.training.fused.graph.compile_cache.subprocess.run", run)
    folder = compile_cache.enable_compile_cache(tmp_path)
    assert (folder is not None) == is_kept
    assert len(asked) == len(ends)
    assert all("CPU,GPU" in env["TF_XLA_FLAGS"] for env in asked)
    assert not list(tmp_path.glob("*/*.pb")) + list(tmp_path.glob("*/*/*.pb"))
    # Another start on this machine remembers.
    monkeypatch.setenv("TF_XLA_FLAGS", "")
    assert (compile_cache.enable_compile_cache(tmp_path) is not None) == is_kept
    assert len(asked) == len(ends)
    assert ("persistent_cache" in os.environ["TF_XLA_FLAGS"]) == is_kept


def test_only_tensorflow_of_the_tried_versions_caches(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unused: None
) -> None:
    monkeypatch.setattr(compile_cache, "find_gpus", tuple)
    monkeypatch.setattr("tensorflow.__version__", "2.99.0")
    assert compile_cache.enable_compile_cache(tmp_path) is None
    assert os.environ["TF_XLA_FLAGS"] == ""
    monkeypatch.setattr("tensorflow.__version__", f"{compile_cache.TENSORFLOW}.0")
    assert compile_cache.enable_compile_cache(tmp_path) is not None
