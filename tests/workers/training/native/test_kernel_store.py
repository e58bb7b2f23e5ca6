"""Compiled kernels on disk: found again, made anew when in doubt, and never a reason to fail. Real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.training.native import kernel_store

# Trains one network, so that kernels are not only loaded but run.
_PROGRAM = """
import sys, time
from pathlib import Path
import numpy as np
started = time.perf_counter()
from workers.training.native.kernel_store import prepare_kernels
fallback = Path(sys.argv[1]) if sys.argv[1] else None
prepare_kernels("float32", fallback, lambda text: print("said:", text, flush=True))
from hpsearch.domain.mlp import MlpConfig
from workers.training.engine.rows import Part
from workers.training.native.network import NativeNetwork
x = np.random.RandomState(0).standard_normal((40, 3)).astype("float32")
y = (x[:, 0] > 0).astype("int32")
network = NativeNetwork(
    MlpConfig(units=(4,)), Part(x, y, y.astype("int64"), np.arange(40)), "multiclass", n_outputs=2, seed=1,
    dtype="float32",
)
print("loss:", repr(network.train(np.arange(40), 0.01, lambda: None)), flush=True)
"""


def start(folder: Path, *, fallback: str = "", **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, fallback],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HPSEARCH_KERNELS": str(folder), "OPENBLAS_NUM_THREADS": "1"} | environment,
    )


def ended(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """Return what a process said and the loss it came to."""
    out, err = process.communicate(timeout=150)
    assert process.returncode == 0, err[-2_000:]
    lines = out.splitlines()
    return [line.removeprefix("said: ") for line in lines if line.startswith("said: ")], lines[-1]


@dataclass(frozen=True)
class Filled:
    """A folder with kernels that processes of their own have compiled.

    Attributes:
        folder: Of the kernels.
        loss: What they give.
        starts: Of the two processes that filled it, started at once: what each said, and its loss.
    """

    folder: Path
    loss: str
    starts: list[tuple[list[str], str]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    """Kernels compiled by whichever of two processes came first, after a third was killed while it compiled."""
    folder = tmp_path_factory.mktemp("kernels")
    killed = start(folder)
    assert killed.stdout is not None
    assert "compiling" in killed.stdout.readline()
    time.sleep(2.0)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    starts = [ended(process) for process in [start(folder), start(folder)]]
    return Filled(folder, starts[0][1], starts)


def copied(filled: Filled, tmp_path: Path) -> Path:
    folder = tmp_path / "kernels"
    subprocess.run(["cp", "-r", str(filled.folder), str(folder)], check=True)
    return folder


@pytest.mark.slow
def test_one_killed_while_it_compiles_leaves_a_folder_that_of_two_starts_one_fills(filled: Filled) -> None:
    said = sorted((text for text, _ in filled.starts), key=len)
    assert [len(text) for text in said] == [0, 1]
    assert said[1][0].startswith("compiling the training kernels, once, into ")
    assert {loss for _, loss in filled.starts} == {filled.loss}


@pytest.mark.slow
def test_a_later_process_finds_them_and_says_nothing(filled: Filled) -> None:
    assert ended(start(filled.folder)) == ([], filled.loss)


@pytest.mark.slow
def test_damaged_files_are_noticed_and_compiled_anew(filled: Filled, tmp_path: Path) -> None:
    folder = copied(filled, tmp_path)
    victim = next(folder.rglob("*train_steps*.nbc"))
    victim.write_bytes(bytes(255 - byte for byte in victim.read_bytes()))
    said, loss = ended(start(folder))
    assert len(said) == 1
    assert "compiling the training kernels" in said[0]
    assert loss == filled.loss
    assert ended(start(folder)) == ([], loss)


@pytest.mark.slow
def test_files_cut_short_or_missing_are_noticed(filled: Filled, tmp_path: Path) -> None:
    folder = copied(filled, tmp_path)
    victim = next(folder.rglob("*train_steps*.nbc"))
    inner = next(path for path in folder.iterdir() if path.name.startswith("kernels-"))
    assert kernel_store._is_whole(inner, "float32")
    assert not kernel_store._is_whole(inner, "float64")
    victim.write_bytes(victim.read_bytes()[:1000])
    assert not kernel_store._is_whole(inner, "float32")
    victim.unlink()
    assert not kernel_store._is_whole(inner, "float32")
    (inner / "manifest.json").write_text("{")
    assert not kernel_store._is_whole(inner)


@pytest.mark.slow
def test_a_folder_that_can_not_be_written_costs_a_sentence_and_a_start(tmp_path: Path, filled: Filled) -> None:
    # Not by its mode: root may write anywhere.
    blocked = tmp_path / "a file, no folder"
    blocked.write_text("")
    said, loss = ended(start(blocked))
    assert len(said) == 1
    assert said[0].startswith(f"compiled kernels can not be kept, {blocked} can not be written")
    assert loss == filled.loss


@pytest.mark.slow
def test_a_processor_without_avx_gets_kernels_of_its_own(filled: Filled, tmp_path: Path) -> None:
    folder = copied(filled, tmp_path)
    said, loss = ended(start(folder, NUMBA_CPU_NAME="x86-64", NUMBA_CPU_FEATURES="", OPENBLAS_CORETYPE="Prescott"))
    assert len(said) == 1, "kernels of another kind of processor were taken"
    assert float(loss.removeprefix("loss: ")) == pytest.approx(float(filled.loss.removeprefix("loss: ")), rel=1e-4)
    assert ended(start(folder)) == ([], filled.loss)


def test_without_numba_plain_keras_trains_with_a_sentence(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['numba'] = None\n"
        "from pathlib import Path\n"
        "from workers.training.process.child import build_engine\n"
        "engine, ready = build_engine('native', Path(sys.argv[1]), lambda text: print('said:', text))\n"
        "print(type(engine).__name__, ready.engine.partition(',')[0], ready.n_slots)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
        check=False,
    )
    said, engine = done.stdout.splitlines()[-2:]
    assert "needs numba, which is not installed here: plain Keras trains instead" in said
    assert engine == "ReferenceEngine reference 1"


def test_the_native_engine_does_not_import_tensorflow() -> None:
    program = (
        "import sys\n"
        "from workers.training.native.engine import NativeEngine\n"
        "NativeEngine(n_slots=1)\n"
        "print(sorted({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr[-2_000:]
