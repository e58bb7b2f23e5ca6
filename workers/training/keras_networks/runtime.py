"""TensorFlow as this process should use it: set up once, before anything is computed."""

from __future__ import annotations

import gc

import keras
import tensorflow as tf


def configure(threads: int | None = None, at_once: int = 2) -> str:
    """Set TensorFlow up for training and return one sentence that says what it trains on and how.

    GPU memory is taken as needed, not all at once. Multiplications are done in full float32: the shorter TF32 of newer
    GPUs would make a model score differently on another machine than was reported.

    Args:
        threads: CPU threads that compute; None leaves this and `at_once` to TensorFlow and its environment variables.
        at_once: Operations that may be under way at once.

    Raises:
        RuntimeError: TensorFlow has computed something already, so that its threads are fixed.
    """
    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(at_once)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)  # noqa: FBT003 - TensorFlow's signature
    tf.config.experimental.enable_tensor_float_32_execution(False)  # noqa: FBT003 - TensorFlow's signature
    versions = f"Keras {keras.__version__}, TensorFlow {tf.__version__}"
    if not gpus:
        used = tf.config.threading.get_intra_op_parallelism_threads() or "all"
        return f"{versions}, float32 on the CPU with {used} threads; no GPU is visible"
    names = ", ".join(_name(gpu) for gpu in gpus)
    return f"{versions}, float32 without TF32 on {names}, memory taken as needed"


def _name(gpu: object) -> str:
    details = tf.config.experimental.get_device_details(gpu)
    return str(details.get("device_name", gpu))


def tidy() -> None:
    """Forget the networks of earlier trials; to be called between trials."""
    keras.backend.clear_session()


def settle() -> None:
    """Take what is loaded by now out of the garbage collector's sight, so that `tidy` costs 10 ms and not 200.

    To be called once, when imports are done.
    """
    gc.collect()
    gc.freeze()
