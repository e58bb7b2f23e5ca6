"""The dearest bodies that can be sent to each route: as long as it takes, and as hard to check as can be thought of."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import polars as pl

from api.middleware.host_and_body_limits import MAX_BODY_BYTES
from api.request_bodies.json_bodies import SMALL_BODY_BYTES
from api.request_bodies.strict_json import MAX_VALUES
from api.web.forms import MAX_FORM_BYTES
from hpsearch.domain.parameters import MAX_CHOICES, MAX_STEPS

REPORT_BYTES: Final = 4 * 2**20
_JSON: Final = {"Content-Type": "application/json"}
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
_BOUNDARY: Final = "benchmark"
_PARTS: Final = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}", "Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True)
class Body:
    """One request to be sent.

    Attributes:
        name: For people: what is in it.
        method: Of HTTP.
        path: Template of the route.
        make: Returns the bytes; called when they are needed.
        headers: Beside those that say who asks.
        query: Behind the path, with its question mark.
    """

    name: str
    method: str
    path: str
    make: Callable[[], bytes]
    headers: dict[str, str] = field(default_factory=lambda: dict(_JSON))
    query: str = ""


def bodies(trials: list[dict[str, Any]]) -> Iterator[Body]:
    """Yield them all.

    Args:
        trials: As a claim gave them to the worker that will report; as many as it may hold.
    """
    yield from _reports(trials)
    yield from _studies()
    yield from _small()
    yield from _forms()
    yield from _files()


def _filled(item: bytes, n_bytes: int, *, around: tuple[bytes, bytes] = (b'{"reports":[', b"]}")) -> bytes:
    """Return a list of one item again and again, as long as may be."""
    room = n_bytes - len(around[0]) - len(around[1])
    return around[0] + b",".join([item] * ((room + 1) // (len(item) + 1))) + around[1]


def _fields(n: int) -> dict[str, int]:
    return {f"k{i}": 1 for i in range(n)}


def _reports(trials: list[dict[str, Any]]) -> Iterator[Body]:
    path = "/v1/workers/{worker_id}/reports"

    def report(name: str, make: Callable[[], bytes]) -> Body:
        return Body(name, "POST", path, make)

    few = MAX_VALUES // 2
    yield report("reports: {} to the cap", lambda: _filled(b"{}", REPORT_BYTES))
    yield report("reports: {} as many as are read", lambda: b'{"reports":[' + b",".join([b"{}"] * few) + b"]}")
    yield report("reports: 256 unknown fields each", lambda: _filled(json.dumps(_fields(256)).encode(), 1_500_000))
    yield report("reports: one text", lambda: b'{"reports":["' + b"," * (REPORT_BYTES - 20) + b'"]}')
    yield report("reports: unknown trials", lambda: json.dumps(_unknown()).encode())
    yield report("reports: 5,000 epochs of 12 metrics", lambda: json.dumps(_epochs(trials, 5_000, 12)).encode())
    yield report("reports: 512 trials end, 5 epochs each", lambda: json.dumps(_endings(trials[:512])).encode())


def _unknown() -> dict[str, Any]:
    entry = {"attempt": 1, "measurements": [{"epoch": 1, "metrics": {f"metric{i}": 0.5 for i in range(64)}}]}
    return {"reports": [{"trial_id": f"01a1fcaa-8692-752e-b261-{i:012x}", **entry} for i in range(1_024)]}


def _epochs(trials: list[dict[str, Any]], n_epochs: int, n_metrics: int) -> dict[str, Any]:
    each = -(-n_epochs // len(trials))
    metrics = {f"train_metric{i}": 0.123456789 + i for i in range(n_metrics)}
    measured = [{"epoch": epoch, "metrics": metrics} for epoch in range(1, each + 1)]
    return {"reports": [{**_named(trial), "measurements": measured} for trial in trials]}


def _endings(trials: list[dict[str, Any]]) -> dict[str, Any]:
    outcome = {"state": "COMPLETE", "value": 0.5, "metrics": {"accuracy": 0.5}, "best_epoch": 1, "epochs": 30}
    measured = [{"epoch": 20 + epoch, "metrics": {"accuracy": 0.5, "loss": 1.0}} for epoch in range(1, 6)]
    return {"reports": [{**_named(trial), "measurements": measured, "outcome": outcome} for trial in trials]}


def _named(trial: dict[str, Any]) -> dict[str, Any]:
    return {"trial_id": trial["trial_id"], "attempt": trial["attempt"]}


def study(space: dict[str, Any], *, kind: str = "random", **changes: Any) -> dict[str, Any]:
    """Return a definition on iris."""
    return {
        "name": "largest",
        "dataset": {"builtin": "iris"},
        "space": space,
        "algorithm": {"kind": kind},
        "budget": {"max_trials": 1_000},
        **changes,
    }


_STEPS: Final = {"type": "int", "low": 1, "high": 60_000, "steps": MAX_STEPS}
_WIDTHS: Final = [f"units_{layer}" for layer in range(1, 33)]


def definitions() -> dict[str, dict[str, Any]]:
    """Return the definitions that are dearest to check, preview and create, by name."""
    parents = dict.fromkeys(_WIDTHS[:8], _STEPS)
    crossed = {name: {**_STEPS, "when": {parent: [1] * 25 for parent in parents}} for name in _WIDTHS[8:]}
    batches = {"batch_size": {"type": "categorical", "choices": list(range(1, MAX_CHOICES + 1))}}
    listed = {
        name: {"type": "int", "low": 1, "high": 9, "when": {"batch_size": list(range(1, 125))}} for name in _WIDTHS
    }
    choices = {name: {"values": list(range(1, 41))} for name in _WIDTHS[:8]}
    mixed = {
        name: {
            "values": [1, 2, 3],
            "when": {p: sorted({(i * 7 + j * 3) % 40 + 1 for j in range(19)}) for p in choices},
        }
        for i, name in enumerate(_WIDTHS[8:])
    }
    return {
        "steps under a tight limit": study(dict.fromkeys(_WIDTHS, _STEPS), constraints={"max_weights": 200}),
        "steps, infeasible": study(dict.fromkeys(_WIDTHS, _STEPS), constraints={"max_weights": 1}),
        "8 conditions on 10,000 values": study(parents | crossed, constraints={"max_weights": 300}),
        "as a grid": study(parents | crossed, kind="grid"),
        "4,968 listed values": study(batches | listed, constraints={"max_weights": 100}),
        "crossed conditions": study(choices | mixed, constraints={"max_weights": 60}),
        "crossed, as a grid": study(choices | mixed, kind="grid"),
        "a grid of 100,000": study(
            {name: {"values": list(range(1, 11))} for name in _WIDTHS[:5]},
            kind="grid",
            constraints={"max_weights": 500},
        ),
    }


def _studies() -> Iterator[Body]:
    unknown = {f"k{i}": {f"k{j}": 1 for j in range(255)} for i in range(250)}
    bad = {name: {"type": "categorical", "choices": [None] * MAX_CHOICES} for name in _WIDTHS}
    broken = {
        "unknown fields": lambda: json.dumps(unknown).encode(),
        "unknown fields of parameters": lambda: json.dumps(study(dict.fromkeys(_WIDTHS, _fields(255)))).encode(),
        "all choices null": lambda: json.dumps(study(bad)).encode(),
        "one list": lambda: _filled(b"1", MAX_BODY_BYTES, around=(b'{"space":{"units":{"values":[', b"]}}}")),
        "one text": lambda: b'{"name":"' + "é".encode() * (MAX_BODY_BYTES // 2 - 10) + b'"}',
        "brackets": lambda: b"[" * MAX_BODY_BYTES,
        "empty objects": lambda: _filled(b"{}", MAX_BODY_BYTES, around=(b'{"name":[', b"]}")),
    }
    for route in ("/validate", "/preview", ""):
        for name, make in broken.items():
            if route != "/preview":
                yield Body(f"definition: {name}", "POST", f"/v1/studies{route}", make)
        for name, definition in definitions().items():
            made = json.dumps(definition).encode()
            yield Body(f"definition: {name}", "POST", f"/v1/studies{route}", partial(bytes, made))


def _small() -> Iterator[Body]:
    """Bodies of unknown fields for each route that wants some fields."""
    inner = json.dumps({f"k{i}": _fields(255) for i in range(180)}).encode()[:SMALL_BODY_BYTES]
    one = b'{"name":"' + b"x" * (SMALL_BODY_BYTES - 20) + b'"}'
    for method, path in (
        ("PATCH", "/v1/studies/{study_id}"),
        ("POST", "/v1/studies/{study_id}/extend"),
        ("POST", "/v1/studies/{study_id}/clone"),
        ("POST", "/v1/studies/{study_id}/trials"),
        ("POST", "/v1/workers"),
        ("POST", "/v1/workers/{worker_id}/claims"),
        ("POST", "/v1/tokens"),
    ):
        yield Body("unknown fields", method, path, lambda: inner)
        yield Body("one text", method, path, lambda: one)
    notes = {"notes": "é" * 10_000, "labels": {f"l{i}": "é" * 200 for i in range(32)}}
    yield Body("notes and labels", "PATCH", "/v1/studies/{study_id}", lambda: json.dumps(notes).encode())
    claim = {"claim_id": "again", "max_trials": 1_024}
    yield Body("1,024 trials", "POST", "/v1/workers/{worker_id}/claims", lambda: json.dumps(claim).encode())
    devices = [{"kind": "gpu", "name": "é" * 200}] * 64
    yield Body("64 devices", "POST", "/v1/workers", lambda: json.dumps({"devices": devices}).encode())


def yaml_texts() -> dict[str, str]:
    """Return the texts of YAML that are dearest to read, by name."""
    merges = ["a0: &a0 {x: 1}"]
    merges += [f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}" for i in range(1, 45)]
    return {
        "nested merges": "\n".join(merges),
        "values": f"a: [{'1,' * 120_000}]",
        "fields": "".join(f"k{i}: 1\n" for i in range(7_400)),
        "aliases": f"a: &a 1\nb: [{'*a,' * 70_000}]",
        "brackets": "a: " + "[" * 170_000,
        "comments": "#\n" * 85_000,
        "one text": 'a: "' + "é" * 80_000 + '"',
    }


def _forms() -> Iterator[Body]:
    for name, text in yaml_texts().items():
        yield Body(f"YAML: {name}", "POST", "/ui/studies/new/check", partial(_form, yaml=text), dict(_FORM))
    for name, definition in definitions().items():
        text = json.dumps(definition)
        yield Body(f"YAML: {name}", "POST", "/ui/studies/new/check", partial(_form, yaml=text), dict(_FORM))
    yield Body("YAML: fields", "POST", "/ui/studies", lambda: _form(yaml=yaml_texts()["fields"]), dict(_FORM))
    lists = {f"{name}.values": ",".join(map(str, range(1, 1_500))) for name in ("layers", "units", "batch_size")}
    lists |= {
        f"{name}.values": "0.5," * 1_500 for name in ("learning_rate", "weight_decay", "dropout", "input_dropout")
    }
    chosen = {"dataset.kind": "builtin", "dataset.value": "iris", "task": "multiclass"}
    compose = "/ui/studies/new/compose"
    yield Body("lists of 1,500", "POST", compose, lambda: _form(**chosen, **lists), dict(_FORM))
    yield Body("one text", "POST", compose, lambda: _form(name='"' * 40_000), dict(_FORM))
    labels = ",".join(f"k{i}=v" for i in range(8_000))
    edit = "/ui/studies/{study_id}/edit"
    yield Body("8,000 labels", "POST", edit, lambda: _form(name="x", labels=labels)[: 64 * 1024], dict(_FORM))
    yield Body("notes", "POST", edit, lambda: _form(name="x", notes="é" * 10_000), dict(_FORM))
    for path, n_bytes in (
        ("/ui/studies/{study_id}/extend", 64 * 1024),
        ("/ui/studies/{study_id}/clone", 64 * 1024),
        ("/ui/studies/{study_id}/enqueue", 64 * 1024),
        ("/ui/tokens", MAX_FORM_BYTES),
        ("/ui/sign-in", 8_192),
    ):
        yield Body("fields", "POST", path, partial(bytes, (b"a=1&" * n_bytes)[: n_bytes - 1]), dict(_FORM))
        yield Body("one digit", "POST", path, partial(bytes, b"max_trials=" + b"1" * (n_bytes - 11)), dict(_FORM))


def _form(**fields: str) -> bytes:
    return urlencode(fields).encode()


def _files() -> Iterator[Body]:
    for name, make in files().items():
        yield Body(f"file: {name}", "POST", "/v1/datasets", partial(_part_of, make), dict(_PARTS))
    yield Body("file: texts", "POST", "/ui/datasets", lambda: _part(files()["parquet of huge texts"]()), dict(_PARTS))
    model = b"x" * 2**20
    headers = {"X-Content-SHA256": hashlib.sha256(model).hexdigest(), "Content-Type": "application/octet-stream"}
    yield Body("model", "PUT", "/v1/workers/{worker_id}/trials/{trial_id}/model", lambda: model, headers, "?attempt=1")


def files() -> dict[str, Callable[[], bytes]]:
    """Return what makes small files that unpack to much, by name."""
    return {"parquet of huge texts": _texts, "parquet of zeros": _zeros, "npz of zeros": _npz, "csv": _csv}


def _part(data: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _part_of(make: Callable[[], bytes]) -> bytes:
    return _part(make())


def _parquet(frame: pl.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.write_parquet(sink, compression="zstd")
    return sink.getvalue()


def _texts() -> bytes:
    return _parquet(pl.DataFrame({"a": ["x" * 1_000_000] * 1_500, "y": [i % 2 for i in range(1_500)]}))


def _zeros() -> bytes:
    n = 5_000_000
    return _parquet(pl.DataFrame({f"c{i}": np.zeros(n, dtype=np.int8) for i in range(19)} | {"y": np.arange(n) % 2}))


def _npz() -> bytes:
    sink = io.BytesIO()
    np.savez_compressed(sink, X=np.zeros((5_000_000, 19), dtype=np.float64), y=np.arange(5_000_000) % 2)
    return sink.getvalue()


def _csv() -> bytes:
    return b"a,b,y\n" + b"1,2,0\n3,4,1\n" * 2_000_000
