"""Samples of the documentation: each operation as a curl command, those most used as Python as well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

# Bodies that are files, and where answers that are files go.
_SENT_FILES: Final = {
    "create_dataset": ("--form file=@data.csv", "--form target=label"),
    "upload_model": (
        '--header "X-Content-SHA256: $(sha256sum < best.keras | cut -c 1-64)"',
        "--header 'Content-Type: application/octet-stream'",
        "--data-binary @best.keras",
    ),
}
_RECEIVED_FILES: Final = {
    "download_dataset": "data.parquet",
    "download_model": "best.keras",
    "download_trial_model": "trial.keras",
    "export_study": "trials.csv",
}
_CLIENT: Final = """\
from pathlib import Path

from hpsearch.client import Client

client = Client("{server}", token)
"""
# The address that stands in samples of Python; those of curl have $URL.
SERVER: Final = "http://127.0.0.1:8000"

_PYTHON: Final = {
    "create_dataset": 'dataset = client.datasets.upload(Path("data.csv"), target="label")',
    "list_datasets": "for dataset in client.datasets.all():\n    print(dataset.dataset_id, dataset.name)",
    "get_dataset_profile": "print(client.datasets.profile(dataset_id).warnings)",
    "create_study": """\
study = client.studies.create(
    {
        "name": "iris",
        "dataset": {"builtin": "iris"},
        "space": {
            "units": {"type": "int", "low": 8, "high": 64, "log": True},
            "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
        },
        "budget": {"max_trials": 20},
    },
    idempotency_key="my-first-study",
)
print(study.study_id)""",
    "list_studies": 'for study in client.studies.all(state="RUNNING"):\n    print(study.study_id, study.name)',
    "get_study": "study = client.studies.get(study_id)\nprint(study.state, study.n_trials)",
    "pause_study": "client.studies.pause(study_id)",
    "resume_study": "client.studies.resume(study_id)",
    "cancel_study": "client.studies.cancel(study_id)",
    "extend_study": "client.studies.extend(study_id, max_trials=200)",
    "enqueue_trial": 'client.studies.enqueue(study_id, {"layers": 1, "units": 32, "learning_rate": 0.01})',
    "list_trials": """\
for trial in client.studies.all_trials(study_id, sort="value"):
    print(trial.number, trial.value)""",
    "get_leaderboard": """\
board = client.studies.leaderboard(study_id, limit=10)
for row in board.items:
    print(row.rank, row.value, row.params)""",
    "stream_events": """\
for event in client.studies.events(study_id):
    print(event.kind, event.data)
    if event.kind in ("study.completed", "study.failed", "study.cancelled"):
        break""",
    "export_study": 'client.studies.export(study_id, Path("trials.csv"), format="csv")',
    "download_model": 'client.studies.download_model(study_id, Path("best.keras"))',
    "get_trial": "trial = client.trials.get(trial_id)\nprint(trial.state, trial.attempts)",
    "list_workers": "for worker in client.workers.all():\n    print(worker.name, worker.state)",
}


def code_samples(method: str, path: str, operation: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the samples of one operation, as `x-codeSamples` wants them.

    Args:
        method: Of HTTP, in any case.
        path: Template of the route; its ids become variables of the shell such as `$STUDY_ID`.
        operation: Its description.
    """
    name = operation["operationId"]
    samples = [{"lang": "Shell", "label": "curl", "source": _curl(method.upper(), path, operation)}]
    if name in _PYTHON:
        source = _CLIENT.format(server=SERVER) + _PYTHON[name] + "\n"
        if "Path(" not in _PYTHON[name]:
            source = source.removeprefix("from pathlib import Path\n\n")
        samples.append({"lang": "Python", "label": "Python", "source": source})
    return samples


def _curl(method: str, path: str, operation: Mapping[str, Any]) -> str:
    return " \\\n  ".join(_parts(method, path, operation)) + "\n"


def _parts(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    name = operation["operationId"]
    address = "$URL" + re.sub(r"\{(\w+)\}", lambda match: f"${match[1].upper()}", path)
    required = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query" and p["required"]]
    address += "?" + "&".join(f"{one}=${one.upper()}" for one in required) if required else ""
    options = " --no-buffer" if name.startswith("stream_") else ""
    yield f'curl --silent --show-error --fail-with-body{options} "{address}"'
    json_body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    # curl sends a POST by itself when there is something to send.
    if method != ("POST" if json_body or name == "create_dataset" else "GET"):
        yield f"--request {method}"
    if operation.get("security"):
        yield '--header "Authorization: Bearer $TOKEN"'
    yield from _SENT_FILES.get(name, ())
    if json_body:
        yield "--header 'Content-Type: application/json'"
        example = next(iter(json_body["examples"].values()))["value"]
        yield f"--data '{json.dumps(example)}'"
    if name in _RECEIVED_FILES:
        yield f"--output {_RECEIVED_FILES[name]}"
