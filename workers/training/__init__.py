"""Training one multilayer perceptron after another; the only folder that imports keras and tensorflow."""

from __future__ import annotations

import os

# Keras reads its backend at import and never again, and a user's own setting (jax, torch) would make every trial fail.
# Here it is set before any module of this folder can import Keras.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
