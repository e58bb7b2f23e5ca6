"""`python -m workers.training.native`: compile the kernels now, so that no worker waits for it; run at installation."""

from __future__ import annotations

import sys
import time

from workers.training.native.kernel_store import prepare_kernels


def main() -> None:
    """Compile the kernels, if they are not there yet, and say so."""
    started_s = time.perf_counter()
    said: list[str] = []
    prepare_kernels("float32", None, said.append)
    took_s = time.perf_counter() - started_s
    sys.stdout.write("".join(f"{line}\n" for line in said))
    sys.stdout.write(f"training kernels are ready ({took_s:.0f} s)\n" if said else "training kernels are ready\n")


if __name__ == "__main__":
    main()
