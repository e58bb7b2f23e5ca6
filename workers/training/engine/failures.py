"""Exceptions of training, and the outcome each stands for."""

from __future__ import annotations

import errno
import sys
import traceback
from typing import Final

from pydantic import ValidationError

from hpsearch.domain.trial import MAX_DETAIL_CHARACTERS, Outcome
from hpsearch.errors import HpsearchError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
# Of the machine, whatever is trained on it.
_BROKEN: Final = frozenset(
    {errno.EIO, errno.EROFS, errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.EMFILE, errno.ENFILE}
)
# What TensorFlow says of a GPU that fell off the bus, or whose driver is gone; running out of its memory is not that.
_GONE: Final = (
    "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA_ERROR_NO_DEVICE", "CUDA_ERROR_DEINITIALIZED", "CUDA_ERROR_ECC_UNCORRECTABLE",
    "CUDA_ERROR_NOT_INITIALIZED", "CUDA_ERROR_SYSTEM_NOT_READY", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
)  # fmt: skip
_CUT: Final = "\n… (cut) …\n"


class StoppedError(Exception):
    """The sink wants the trial dropped; nothing is to be reported."""


class DivergedError(Exception):
    """A loss, weight or prediction is not finite.

    Args:
        what: One sentence naming it.
        epochs: Epochs trained, the one at fault included.
    """

    def __init__(self, what: str, epochs: int) -> None:
        super().__init__(what)
        self.epochs = epochs


class UntrainableError(Exception):
    """The trial can not be trained or scored as asked; the message is one sentence for the user."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory was short: of the host, or of TensorFlow's device where this process has loaded it."""
    tensorflow = sys.modules.get("tensorflow")
    short = (MemoryError,) if tensorflow is None else (MemoryError, tensorflow.errors.ResourceExhaustedError)
    return isinstance(error, short)


def is_device_gone(error: BaseException) -> bool:
    """Return whether the device, or its driver, is gone: nothing can be trained there any more."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None or not isinstance(error, tensorflow.errors.OpError):
        return False
    return any(code in str(error) for code in _GONE)


def outcome_of(error: Exception) -> Outcome:
    """Return the outcome, without device time, that an exception in a trial stands for."""
    if isinstance(error, DivergedError):
        return Outcome(
            state="INFEASIBLE",
            cause="diverged",
            detail=readable(str(error)),
            epochs=error.epochs,
            stop_reason="diverged",
        )
    if is_out_of_memory(error):
        detail = readable(f"the network did not fit into memory; try fewer units or a smaller batch: {error}")
        return Outcome(state="INFEASIBLE", cause="oom", detail=detail)
    if isinstance(error, OSError) and error.errno in _FULL:
        return Outcome(state="RELEASED", cause="disk_full", detail=readable(str(error)))
    if (isinstance(error, OSError) and error.errno in _BROKEN) or is_device_gone(error):
        detail = readable(f"this machine has a fault: {error}")
        return Outcome(state="RELEASED", cause="infrastructure", detail=detail)
    return Outcome(state="FAILED", cause="training_error", detail=_explain(error))


def _explain(error: Exception) -> str:
    """Return the sentence of an error made for users; the traceback of any other."""
    if isinstance(error, HpsearchError | UntrainableError):
        return readable(str(error))
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the network"
        return readable(f"the trial's parameters are not those of a network: {where}: {first['msg']}")
    return readable("".join(traceback.format_exception(error)))


def readable(text: str) -> str:
    """Return the text without what a database can not store, at most 16 KiB: its beginning and its end."""
    clean = text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
    if len(clean) <= MAX_DETAIL_CHARACTERS:
        return clean
    # The end of a traceback says what happened, its beginning where.
    head = MAX_DETAIL_CHARACTERS // 4
    return clean[:head] + _CUT + clean[head + len(_CUT) - MAX_DETAIL_CHARACTERS :]
