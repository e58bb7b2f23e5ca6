"""Asking a loaded model file for predictions."""

from __future__ import annotations

from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

# Rows per call: bounds memory, also for wide networks.
_ROWS_AT_ONCE: Final = 4_096


def predict_raw(model: Any, raw: npt.NDArray[Any] | dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the outputs of a model file for raw rows in its form, (n, n_outputs) float64, block by block."""
    n_rows = len(next(iter(raw.values()))) if isinstance(raw, dict) else len(raw)
    outputs = []
    for start in range(0, n_rows, _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        rows = {name: values[block] for name, values in raw.items()} if isinstance(raw, dict) else raw[block]
        outputs.append(keras.ops.convert_to_numpy(model(rows, training=False)))
    return np.concatenate(outputs).astype(np.float64) if outputs else np.zeros((0, model.output_shape[-1]))
