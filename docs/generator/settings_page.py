"""The reference of settings: from their classes, and from the README's table, which tests compare with the code."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from docs.generator.tables import attributes, code, table
from hpsearch.settings import ENVIRONMENT, Settings
from workers.options import WorkerOptions

# Handed over by code only.
_NOT_SETTINGS = {"seek", "server", "token"}

_PAGE = """\
# Settings

## Variables and flags

{everything}

Durations are in seconds. A value that is malformed or out of bounds is refused at the start, by name.

## The server's, with their bounds

{server}
## A worker's

Flags of `hpsearch worker`; those without a flag are for programs that call `workers.main.run_worker`.

{worker}"""


def settings_page(root: Path) -> str:
    """Return the page.

    Args:
        root: Of the checkout.
    """
    readme = (root / "README.md").read_text(encoding="utf-8")
    everything = readme.partition("\n## Settings\n")[2].partition("\n## ")[0].strip()
    return _PAGE.format(everything=everything, server=_server(), worker=_worker())


def _server() -> str:
    told = attributes(Settings)
    properties = Settings.model_json_schema()["properties"]
    variables = {field: name for name, field in ENVIRONMENT.items()}
    rows = [
        [code(variables[name]), told[name], _bounds(properties[name]), code(_default(field))]
        for name, field in Settings.model_fields.items()
    ]
    return table(["variable", "means", "bounds", "default"], rows)


def _default(field: Any) -> str:
    if field.default_factory is not None or field.default in ("", ()):
        return ""
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def _bounds(schema: dict[str, Any]) -> str:
    said = []
    for key, word in (("exclusiveMinimum", "above"), ("minimum", "at least"), ("maximum", "at most")):
        if key in schema:
            said.append(f"{word} {schema[key]:,}")
    return ", ".join(said)


def _worker() -> str:
    told = attributes(WorkerOptions)
    flags = {"name": "--name", "trainers": "--trainers", "engine": "--engine", "work_dir": "--work-dir"}
    flags |= {"max_idle_s": "--max-idle", "log_json": "--log-json"}
    rows = []
    for field in dataclasses.fields(WorkerOptions):
        if field.name not in _NOT_SETTINGS:
            default = "" if field.default in (None, dataclasses.MISSING) else str(field.default)
            means = re.sub(r"; `stub`[^;.]*", "", told[field.name])
            rows.append([code(flags.get(field.name, field.name)), means, code(default)])
    return table(["option", "means", "default"], rows)
