"""How much memory there is for this process: of the machine, or of the container it runs in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def memory_of_machine(cgroup: Path = _CGROUP, own: Path = Path("/proc/self/cgroup")) -> int:
    """Return the bytes of memory that this process and its children may use together.

    Args:
        cgroup: Where control groups are mounted; those of version 1 have a folder `memory` there.
        own: File that names the groups of this process.
    """
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_limits(cgroup, own)])


def _limits(cgroup: Path, own: Path) -> Iterator[int]:
    """Yield the limits of this process's groups and of those around them; inside a container they are at the root."""
    try:
        groups = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, name = (cgroup, "memory.max") if not controllers else (cgroup / "memory", "memory.limit_in_bytes")
        folder = root / path.lstrip("/")
        for place in (folder, *folder.parents):
            if not place.is_relative_to(root):
                break
            try:
                text = (place / name).read_text(encoding="utf-8").strip()
            except OSError:
                continue
            if text.isdigit():
                yield int(text)
