"""XLA's flags, set before TensorFlow starts; imports nothing that would start it."""

from __future__ import annotations

import os
from typing import Final

_XLA_VARIABLE: Final = "XLA_FLAGS"
# What would choose a member's arithmetic by the size of its pack, each seen in its last bits.
_EXACT: Final = {
    # Several threads divide a product according to their number and the size of the pack.
    "--xla_cpu_multi_thread_eigen": "false",
    # They fuse otherwise from 1,024 rows of a pack on.
    "--xla_cpu_use_fusion_emitters": "false",
    # The quickest of several products is not the same in every process, nor for every size of pack.
    "--xla_gpu_autotune_level": "0",
    # Without that search XLA's own products take five times as long as cuBLAS's.
    "--xla_gpu_enable_triton_gemm": "false",
}


def compile_exactly() -> None:
    """Make XLA compute a member of a pack the same way whatever the size of the pack, unless its flags say otherwise.

    To be called before XLA compiles anything: it reads its flags once.
    """
    flags = os.environ.get(_XLA_VARIABLE, "")
    own = [f"{flag}={value}" for flag, value in _EXACT.items() if flag not in flags]
    os.environ[_XLA_VARIABLE] = " ".join([flags, *own]).strip()
