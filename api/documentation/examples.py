"""Realistic bodies for the documentation; a test sends each of them."""

from __future__ import annotations

from typing import Any, Final

STUDY: Final[dict[str, Any]] = {
    "name": "digits",
    "dataset": {"builtin": "digits"},
    "task": "multiclass",
    "split": {"validation": 0.2, "test": 0.2, "stratify": True, "seed": 0},
    "objective": {"metric": "accuracy", "direction": "maximize"},
    "space": {
        "layers": {"type": "int", "low": 1, "high": 4},
        "units": {"type": "int", "low": 16, "high": 512, "log": True, "per_layer": True},
        "activation": {"type": "categorical", "choices": ["relu", "tanh", "sigmoid"]},
        "learning_rate": {"type": "float", "low": 1.0e-4, "high": 1.0e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1.0e-7, "high": 1.0e-2, "log": True},
        "dropout": {"type": "float", "low": 0.0, "high": 0.6},
        "optimizer": {
            "type": "categorical",
            "choices": ["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"],
        },
        "momentum": {"type": "float", "low": 0.5, "high": 0.99, "when": {"optimizer": ["momentum", "nesterov"]}},
        "batch_size": {"type": "categorical", "choices": [32, 64, 128]},
        "batch_norm": {"type": "categorical", "choices": [True, False]},
        "init": "glorot_uniform",
    },
    "constraints": {"max_weights": 2_000_000},
    "algorithm": {"kind": "bayesian", "seed": 0},
    "pruner": {"kind": "none"},
    "training": {
        "max_epochs": 100,
        "early_stopping": {"patience": 10, "min_delta": 0.0},
        "lr_decay": {"factor": 0.5, "patience": 4},
    },
    "budget": {"max_trials": 100, "max_failed": 20, "wall_time_s": None, "device_seconds": None, "target": None},
    "parallelism": "auto",
    "confirm": {"top_k": 5, "seeds": 5},
    "refit": "auto",
}

GRID: Final[dict[str, Any]] = {
    "name": "iris grid",
    "dataset": {"builtin": "iris"},
    "space": {
        "layers": {"values": [1, 2]},
        "units": {"type": "int", "low": 8, "high": 64, "steps": 4, "log": True},
        "learning_rate": {"type": "float", "low": 1.0e-3, "high": 1.0e-1, "steps": 3, "log": True},
    },
    "algorithm": {"kind": "grid"},
}

STUDIES: Final = {
    "bayesian": {"summary": "Bayesian search over everything", "value": STUDY},
    "grid": {"summary": "A small grid", "value": GRID},
}
PATCH: Final = {"rename": {"value": {"name": "digits, deeper", "priority": 10, "labels": {"team": "vision"}}}}
EXTEND: Final = {"more": {"value": {"max_trials": 200}}}
CLONE: Final = {"renamed": {"value": {"name": "digits again"}}}
POINT: Final = {
    "a hunch": {"value": {"params": {"layers": 1, "units": 32, "learning_rate": 0.01}}},
}
TOKEN: Final = {"for a worker": {"value": {"name": "gpu-box-3", "scopes": ["worker"], "expires_in_s": 2_592_000}}}
REGISTER: Final = {
    "one GPU": {
        "value": {
            "name": "gpu-box-3",
            "version": "0.1.0",
            "devices": [{"kind": "gpu", "name": "NVIDIA H200", "memory_bytes": 150_754_820_096}],
        }
    }
}
CLAIM: Final = {"one trial, at leisure": {"value": {"claim_id": "019a7c5e-41", "max_trials": 1, "wait_s": 20.0}}}
_TRIAL: Final = "019a7c5e-8f6e-7d2a-9c51-2f5e0f6b7a10"
REPORT: Final = {
    "a heartbeat with an epoch": {
        "value": {
            "reports": [
                {
                    "trial_id": _TRIAL,
                    "attempt": 1,
                    "measurements": [
                        {"epoch": 12, "metrics": {"accuracy": 0.9639, "loss": 0.1187, "train_loss": 0.0921}}
                    ],
                }
            ]
        }
    },
    "the end of a trial": {
        "value": {
            "reports": [
                {
                    "trial_id": _TRIAL,
                    "attempt": 1,
                    "outcome": {
                        "state": "COMPLETE",
                        "value": 0.9722,
                        "metrics": {"accuracy": 0.9722, "loss": 0.0994},
                        "best_epoch": 21,
                        "epochs": 31,
                        "device_seconds": 8.4,
                        "stop_reason": "early_stopping",
                    },
                }
            ]
        }
    },
}
