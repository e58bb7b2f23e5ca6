"""The trainer process: imports its engine once, then trains what the supervisor sends until the supervisor is gone.

Started by `workers.trainers.trainer` with two pipes. Standard output and error go to a log file; the pipes carry only
frames.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

from hpsearch.processes import die_with_parent
from workers.devices import CORES_VARIABLE, cpu_cores
from workers.trainers.messages import Compiling, LogMessage, Ready, StartFailed
from workers.training.engine.contract import Engine
from workers.training.keras_networks.quick_start import quick_start
from workers.training.process.channel import Channel
from workers.training.process.pipe_sink import train_all

# Compiling a program keeps the engine silent for seconds, on a busy machine for many.
_LEAST_SILENCE_S: Final = 60.0
_COMPILES: Final = 30.0


def build_engine(
    name: str, cache: Path, say: Callable[[str], None], compiling: Callable[[int], None] = lambda _n: None
) -> tuple[Engine, Ready]:
    """Return the engine of a name, imported, and what to say about it.

    Args:
        name: `native`, `fused`, `reference` or `stub`.
        cache: Folder in which what is compiled outlives the process.
        say: Takes sentences for the log.
        compiling: Takes how many programs are being compiled.
    """
    if name == "stub":
        from workers.training.testing.stub_engine import StubEngine

        stub = StubEngine.of_environment(compiling=compiling)
        return stub, Ready(n_gpus=0, engine="stub (invented results)", n_slots=stub.n_slots, capacity=stub.capacity)
    if name == "native":
        try:
            return _native(cache, say)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("numba", "llvmlite", "scipy"):
                raise
            say(
                f"the native engine needs {error.name}, which is not installed here: plain Keras trains instead, one "
                "trial at a time; run  pip install 'hpsearch[worker]'"
            )
            name = "reference"
    with quick_start():
        return _reference() if name == "reference" else _fused(cache, say, compiling)


def _native(cache: Path, say: Callable[[str], None]) -> tuple[Engine, Ready]:
    import gc

    from workers.training.native.engine import NativeEngine

    n_slots = _own_cores()
    engine = NativeEngine(n_slots=n_slots, explain=say, kernels=cache)
    # Imports are done: what they left need not be looked through for garbage again and again.
    gc.freeze()
    return engine, Ready(
        n_gpus=0,
        engine=f"native, {numbers_of_versions('numba', 'numpy', 'scipy')}, float32, {n_slots} trials at a time",
        n_slots=n_slots,
        capacity=engine.capacity,
        silence_s=_LEAST_SILENCE_S,
        pack_bytes=engine.memory.total_bytes,
    )


def _reference() -> tuple[Engine, Ready]:
    import tensorflow as tf

    from workers.training.reference.engine import ReferenceEngine

    n_gpus = len(tf.config.list_physical_devices("GPU"))
    return ReferenceEngine(), Ready(n_gpus=n_gpus, engine=f"reference, {numbers_of_versions('keras', 'tensorflow')}")


def _fused(cache: Path, say: Callable[[str], None], compiling: Callable[[int], None]) -> tuple[Engine, Ready]:
    from workers.training.fused.graph.compile_cache import enable_compile_cache
    from workers.training.fused.graph.xla_flags import compile_exactly

    # Before TensorFlow is asked anything; a folder that can not be used is the engine's to complain of.
    compile_exactly()
    with suppress(OSError):
        enable_compile_cache(cache)
    import tensorflow as tf

    from workers.training.fused.engine import FusedEngine

    engine = FusedEngine(explain=say, compiling=compiling, programs=cache)
    device = engine.device
    return engine, Ready(
        n_gpus=len(tf.config.list_physical_devices("GPU")),
        engine=f"fused, {numbers_of_versions('keras', 'tensorflow')}",
        n_slots=engine.n_slots,
        capacity=engine.capacity,
        silence_s=max(_LEAST_SILENCE_S, _COMPILES * device.compile_s),
        pack_bytes=device.memory_bytes,
    )


def _own_cores() -> int:
    """Return the cores that are this trainer's own, where others have the rest."""
    return int(os.environ.get(CORES_VARIABLE, "0")) or cpu_cores()


def numbers_of_versions(*packages: str) -> str:
    """Return packages with their versions, for the log."""
    return ", ".join(f"{package} {version(package)}" for package in packages)


def main() -> None:
    """Serve the supervisor whose pipes are named by the arguments: parent's pid, two descriptors, engine, folder."""
    # The supervisor alone decides what an interrupt means; it may need this process to the last moment.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent_pid, commands, events = (int(argument) for argument in sys.argv[1:4])
    die_with_parent(parent_pid)
    channel = Channel(os.fdopen(commands, "rb", buffering=0), os.fdopen(events, "wb", buffering=0))
    channel.listen()
    try:
        engine, ready = build_engine(
            sys.argv[4],
            Path(sys.argv[5]),
            lambda text: channel.send(LogMessage(text=text)),
            lambda n: channel.send(Compiling(n_programs=n)),
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor must hear of it
        traceback.print_exc()
        channel.send(StartFailed(message=_complaint(error)))
        raise SystemExit(1) from None
    channel.send(ready)
    while channel.wait():
        train_all(engine, channel)


def _complaint(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"training is not installed here (no module {error.name}): run  pip install 'hpsearch[worker]'"
    return f"training can not be started: {type(error).__name__}: {error}"[:2_000]


if __name__ == "__main__":
    main()
