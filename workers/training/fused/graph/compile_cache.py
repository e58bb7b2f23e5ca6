"""XLA's persistent compile cache, so that the next process on this machine finds its programs compiled."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

from hpsearch.interpreter import python_command
from workers.devices import find_gpus
from workers.training.fused.graph.program_key import ProgramKey

# `stable_names` replaces a private function of TensorFlow, tried with these versions; with another nothing is cached.
TENSORFLOW: Final = "2.21"
# A program has half a megabyte to two; a search space rarely needs more than a hundred.
_MAX_BYTES: Final = 256 * 2**20
_ANSWERS: Final = ("yes", "no")
_TRIAL_S: Final = 120.0
_TRIAL: Final = """
import tensorflow as tf
for gpu in tf.config.list_physical_devices("GPU"):
    tf.config.experimental.set_memory_growth(gpu, True)
f = tf.function(lambda x: tf.tanh(x @ x), jit_compile=True)
assert f(tf.eye(64)).numpy().sum() > 0
"""
_VARIABLE: Final = "TF_XLA_FLAGS"
_FLAG: Final = "--tf_xla_persistent_cache_directory"


def enable_compile_cache(root: Path) -> Path | None:
    """Make XLA cache what it compiles, and return the folder; None when that can not be.

    Every machine type and version of TensorFlow gets a folder of its own: machine code of another processor could not
    run here. Folders of others are left alone, the programs unused longest make room. To be called before TensorFlow
    computes anything: it reads its flags once. The first call of a process decides.

    On a GPU it is tried out once, in a process of its own that takes some ten seconds: a TensorFlow that can not write
    down what it has compiled for the GPU refuses to compile at all.

    Args:
        root: Made if missing, readable by this user alone: what lies in it is run.

    Raises:
        OSError: The folder can not be used.
    """
    folder = root / _machine_type()
    flags = os.environ.get(_VARIABLE, "")
    if _FLAG in flags:
        return folder if f"{_FLAG}={folder} " in flags else None
    if _has_computed() or not tf.__version__.startswith(f"{TENSORFLOW}."):
        return None
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.stat().st_uid != os.getuid():
        msg = f"{folder} belongs to another user"
        raise PermissionError(msg)
    if find_gpus() and not _works_on_gpu(folder):
        return None
    _make_room(folder)
    os.environ[_VARIABLE] = f"{flags} {_own_flags(folder)}".strip()
    return folder


def _own_flags(folder: Path) -> str:
    return f"{_FLAG}={folder} --tf_xla_persistent_cache_device_types=CPU,GPU"


def _works_on_gpu(folder: Path) -> bool:
    """Return whether programs for the GPU are kept and found again: tried out once, then remembered in the folder."""
    for answer in _ANSWERS:
        if (folder / f"gpu-{answer}").exists():
            return answer == "yes"
    place = folder / "trial"
    place.mkdir(exist_ok=True, mode=0o700)
    environment = os.environ | {_VARIABLE: f"{os.environ.get(_VARIABLE, '')} {_own_flags(place)}".strip()}
    # The second of them loads what the first has written.
    works = all(_runs(environment) for _ in range(2)) and any(place.glob("*.pb"))
    clear_cache(place)
    (folder / f"gpu-{'yes' if works else 'no'}").touch()
    return works


def _runs(environment: dict[str, str]) -> bool:
    with suppress(OSError, subprocess.TimeoutExpired):
        command = python_command("-c", _TRIAL)
        done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=_TRIAL_S)
        return done.returncode == 0
    return False


@contextmanager
def stable_names(key: ProgramKey) -> Iterator[None]:
    """Name functions traced meanwhile by the program's key alone.

    A kept program is found by its functions' names, too, and TensorFlow numbers those in the order of tracing, which
    differs from process to process. Where a version of TensorFlow counts otherwise, programs are compiled again.
    """
    before = getattr(ops, "uid", None)
    if before is None:
        yield
        return
    # Made once in every thread, and numbered too.
    ops.get_default_graph()
    # Far from TensorFlow's own numbers, with room for all that a program has to number.
    numbers = count(int(_digest(key)[:10], 16) * 2**20)
    here = threading.get_ident()
    ops.uid = lambda: next(numbers) if threading.get_ident() == here else before()
    try:
        yield
    finally:
        ops.uid = before


def clear_cache(folder: Path) -> None:
    """Delete the programs of a folder: one of them can not be read."""
    for path in folder.glob("*.pb"):
        with suppress(OSError):
            path.unlink()


def _digest(key: ProgramKey) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()


def _has_computed() -> bool:
    return getattr(context.context(), "_context_handle", None) is not None


def _machine_type() -> str:
    facts = [tf.__version__, platform.machine(), platform.processor(), os.environ.get("XLA_FLAGS", "")]
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        # Of the first core: its make and what it can do.
        kinds = ("vendor_id", "model name", "flags", "CPU part", "Features")
        facts += [next((line for line in lines if line.startswith(kind)), "") for kind in kinds]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _make_room(folder: Path) -> None:
    found = []
    for path in folder.glob("*.pb"):
        with suppress(OSError):
            found.append((path.stat().st_atime, path.stat().st_size, path))
    left = sum(size for _, size, _ in found)
    if left <= _MAX_BYTES:
        return
    for _, size, path in sorted(found):
        if left <= _MAX_BYTES // 2:
            return
        with suppress(OSError):
            path.unlink()
            left -= size
