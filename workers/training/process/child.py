"""The trainer process: imports TensorFlow once, then trains what the supervisor sends until the supervisor is gone.

Started by `workers.trainer` with two pipes. Standard output and error go to a log file; the pipes carry only frames.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workers.devices import CORES_VARIABLE, cpu_cores
from workers.messages import Broken, Ready, Said
from workers.training.engine.contract import Engine
from workers.training.process.channel import Channel
from workers.training.process.pipe_sink import train_all
from workers.training.reference.quick_start import quick_start

if TYPE_CHECKING:
    from workers.training.fused.machine import Machine

_PR_SET_PDEATHSIG: Final = 1
# Many packs may be compiled one after another before the first epoch ends, each some seconds, on a busy machine more.
_LEAST_SILENCE_S: Final = 60.0
_COMPILES: Final = 30.0


def build_engine(name: str, programs: Path, say: Callable[[str], None]) -> tuple[Engine, Ready]:
    """Return the engine of a name, imported, and what to say about it.

    Args:
        name: `fused`, `reference` or `stub`.
        programs: Folder in which compiled programs outlive the process.
        say: Takes sentences for the log.
    """
    if name == "stub":
        from workers.testing.stub_engine import StubEngine

        stub = StubEngine.of_environment()
        return stub, Ready(n_gpus=0, engine="stub (invented results)", appetite=stub.appetite)
    import keras
    import tensorflow as tf

    versions = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
    if name == "reference":
        from workers.training.reference.engine import ReferenceEngine

        n_gpus = len(tf.config.list_physical_devices("GPU"))
        return ReferenceEngine(), Ready(n_gpus=n_gpus, engine=f"reference, {versions}")
    return _fused(versions, programs, say)


def _fused(versions: str, programs: Path, say: Callable[[str], None]) -> tuple[Engine, Ready]:
    import tensorflow as tf

    from workers.training.fused.engine import FusedEngine
    from workers.training.fused.kept_programs import keep_programs
    from workers.training.fused.xla_flags import compile_exactly

    # Before TensorFlow is asked anything; a folder that can not be used is the engine's to complain of.
    compile_exactly()
    with suppress(OSError):
        keep_programs(programs)
    engine = FusedEngine(machine=_share_of_machine(), explain=say, programs=programs)
    machine = engine.machine
    return engine, Ready(
        n_gpus=len(tf.config.list_physical_devices("GPU")),
        engine=f"fused, {versions}",
        appetite=engine.appetite,
        silence_s=max(_LEAST_SILENCE_S, _COMPILES * machine.compile_s),
        pack_bytes=machine.memory_bytes,
    )


def _share_of_machine() -> Machine | None:
    """Return the machine with fewer cores than it has, where other trainers or a quota have the rest; None for all."""
    import tensorflow as tf

    from workers.training.fused.machine import this_machine
    from workers.training.reference import runtime

    cores = int(os.environ.get(CORES_VARIABLE, "0"))
    if not 0 < cores < cpu_cores() or tf.config.list_physical_devices("GPU"):
        return None
    runtime.configure_for_packs(cores)
    machine = this_machine()
    share = machine.memory_bytes * cores // machine.n_lanes
    return replace(machine, name=f"{cores} of {machine.name}", n_lanes=cores, memory_bytes=share)


def main() -> None:
    """Serve the supervisor whose pipes are named by the arguments: parent's pid, two descriptors, engine, folder."""
    # The supervisor alone decides what an interrupt means; it may need this process to the last moment.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent_pid, commands, events = (int(argument) for argument in sys.argv[1:4])
    _die_with(parent_pid)
    channel = Channel(os.fdopen(commands, "rb", buffering=0), os.fdopen(events, "wb", buffering=0))
    channel.listen()
    try:
        with quick_start():
            engine, ready = build_engine(sys.argv[4], Path(sys.argv[5]), lambda text: channel.say(Said(text=text)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor must hear of it
        traceback.print_exc()
        channel.say(Broken(message=_complaint(error)))
        raise SystemExit(1) from None
    channel.say(ready)
    while channel.wait():
        train_all(engine, channel, ready.appetite)


def _complaint(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"training is not installed here (no module {error.name}): run  pip install 'hpsearch[worker]'"
    return f"TensorFlow can not be started: {type(error).__name__}: {error}"[:2_000]


def _die_with(parent_pid: int) -> None:
    """Arrange that the kernel kills this process when the supervisor ends: the pipe alone can not while C code runs."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(0)


if __name__ == "__main__":
    main()
