"""XLA is told to compute exactly, and a user's own flags stay."""

from __future__ import annotations

import os

import pytest

from workers.training.fused.graph.xla_flags import compile_exactly


def test_flags_are_added_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XLA_FLAGS")
    compile_exactly()
    told = os.environ["XLA_FLAGS"]
    assert "--xla_cpu_use_fusion_emitters=false" in told.split()
    assert {"--xla_gpu_autotune_level=0", "--xla_gpu_enable_triton_gemm=false"} <= set(told.split())
    compile_exactly()
    assert os.environ["XLA_FLAGS"] == told


def test_a_users_own_flags_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=4 --xla_dump_to=here")
    compile_exactly()
    told = os.environ["XLA_FLAGS"].split()
    assert told[:2] == ["--xla_gpu_autotune_level=4", "--xla_dump_to=here"]
    assert "--xla_gpu_autotune_level=0" not in told
    assert "--xla_cpu_multi_thread_eigen=false" in told
