"""`hpsearch run` on a definition, as people run it, and what its database tells afterwards."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.study_arms.measured import Cost, measure
from benchmarks.study_arms.trials import TrialEnd

# Where the installation has put its kernels; and what the stub does, an engine that tests ask for by its name.
_KEPT: Final = ("HPSEARCH_KERNELS", "HPSEARCH_STUB_")
_TRIALS: Final = """
    SELECT kind, state, value, epochs, device_seconds, ended_at FROM trial
    WHERE study_id = ? AND ended_at IS NOT NULL AND state <> 'CANCELLED' ORDER BY ended_at
"""


def run(definition: Path, out: Path, data_dir: Path, *, engine: str | None, log: Path) -> Cost:
    """Run the command once and return what it took.

    Args:
        definition: The study file.
        out: Where the model goes.
        data_dir: Of the local server; its caches and compiled programs lie there, too.
        engine: For `--engine`; None leaves it out.
        log: Takes what the command says.

    Raises:
        SystemExit: It failed.
    """
    command = [sys.executable, "-P", "-m", "hpsearch.cli", "run", str(definition), "--out", str(out), "--new"]
    command += ["--data-dir", str(data_dir), *([] if engine is None else ["--engine", engine])]
    return measure("hpsearch run", command, log, _environment(os.environ))


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without settings of the product, which would change what is measured."""
    return {name: value for name, value in given.items() if not name.startswith("HPSEARCH_") or name.startswith(_KEPT)}


def ends(data_dir: Path, digest: str) -> list[TrialEnd]:
    """Return the trials of the latest study of a data directory.

    Args:
        data_dir: In which a study has been run.
        digest: The content that the other side trains on.

    Raises:
        SystemExit: The study trained on something else, so that nothing may be compared.
    """
    with closing(sqlite3.connect(f"file:{data_dir / 'hpsearch.sqlite3'}?mode=ro", uri=True)) as connection:
        study, resolved = connection.execute("SELECT id, resolved FROM study ORDER BY id DESC LIMIT 1").fetchone()
        found = json.loads(resolved)["dataset_digest"]
        if found != digest:
            msg = f"the two sides have different data: {found[:12]} and {digest[:12]}"
            raise SystemExit(msg)
        rows = connection.execute(_TRIALS, (study,)).fetchall()
    return [
        TrialEnd(
            kind=kind,
            score=value if state == "COMPLETE" else None,
            epochs=epochs or 0,
            device_s=device_s,
            ended_at=datetime.fromisoformat(ended_at).replace(tzinfo=UTC).timestamp(),
        )
        for kind, state, value, epochs, device_s, ended_at in rows
    ]
