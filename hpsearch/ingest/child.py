"""The child process that parses one upload: limits first, then reading, one JSON object as the answer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

_NICENESS: Final = 10


def _limit(limits: dict[str, Any]) -> None:
    import resource

    # Whoever asks the server something goes first.
    os.nice(_NICENESS)
    cpu_s = int(limits["cpu_s"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (int(limits["memory_bytes"]),) * 2)
    # The soft limit ends the process by SIGXCPU, the hard one a second later by SIGKILL.
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 30,) * 2)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))


def _parse(order: dict[str, Any]) -> dict[str, Any]:
    from hpsearch.data.reading.open_file import read_file
    from hpsearch.errors import InvalidDatasetError
    from hpsearch.ingest.content import write_content
    from hpsearch.ingest.describe import describe

    try:
        raw = read_file(Path(order["path"]), known=[order["target"]] if order["target"] else [])
        described = describe(raw, target=order["target"], task=order["task"])
        write_content(described.frame, Path(order["content"]))
    except InvalidDatasetError as error:
        return {"error": {"message": error.message, "code": error.code, "details": error.details}}
    except MemoryError:
        msg = "the file needs more memory than a data set may; leave out rows or columns, or check it for damage"
        return {"error": {"message": msg, "code": "dataset.too_large", "details": {}}}
    return {"profile": described.profile.model_dump(mode="json")}


def main() -> None:
    """Answer the order on standard input with `{"profile": …}` or `{"error": …}` on standard output."""
    order = json.load(sys.stdin)
    _limit(order["limits"])
    sys.stdout.write(json.dumps(_parse(order)))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
