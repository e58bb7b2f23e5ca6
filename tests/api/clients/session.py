"""Creates a study, polls its leaderboard, downloads its model: all by a client that was generated from the document."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from hpsearch_client import AuthenticatedClient  # type: ignore[import-not-found]
from hpsearch_client.api.results import download_model, get_leaderboard  # type: ignore[import-not-found]
from hpsearch_client.api.studies import create_study, get_study, list_studies  # type: ignore[import-not-found]
from hpsearch_client.models import StudyDefinition  # type: ignore[import-not-found]

client = AuthenticatedClient(os.environ["URL"], os.environ["TOKEN"], raise_on_unexpected_status=True)
definition = StudyDefinition.from_dict(
    {
        "name": "from Python",
        "dataset": {"builtin": "iris"},
        "space": {"units": {"type": "int", "low": 8, "high": 64, "log": True}},
        "algorithm": {"kind": "random", "seed": 0},
        "budget": {"max_trials": 2},
        "baselines": False,
    }
)
study = create_study.sync(client=client, body=definition, idempotency_key="python")
while True:
    board = get_leaderboard.sync(study.study_id, client=client, limit=3)
    study = get_study.sync(study.study_id, client=client)
    if study.ended_at:
        break
    time.sleep(0.05)
listed = list_studies.sync(client=client, name=study.name)
missing = get_study.sync("nothing", client=client)
Path(os.environ["MODEL"]).write_bytes(download_model.sync(study.study_id, client=client).payload.read())
json.dump(
    {
        "state": study.state,
        "ranks": [row.rank for row in board.items],
        "listed": [one.name for one in listed.items],
        "missing": missing.code,
    },
    sys.stdout,
)
