"""Logs of unexpected errors: where it happened, and no secret that was at hand there."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from api import logs
from tests.api.conftest import InProcessApi
from workers import log as worker_log

_PASSWORD = "correct-horse-battery"


@pytest.fixture
def as_before() -> Iterator[None]:
    """Give logging back as it was."""
    import structlog

    root = logging.getLogger()
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**configuration)


def _explode(*_: object) -> None:
    database_url = f"postgresql://hpsearch:{_PASSWORD}@db/hpsearch"
    msg = f"planted, of {len(database_url)} signs"
    raise RuntimeError(msg)


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "console"])
def test_a_traceback_holds_no_secret(
    shared_api: InProcessApi,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    as_before: None,
    as_json: bool,
) -> None:
    token = shared_api.admin["Authorization"].removeprefix("Bearer ")
    monkeypatch.setattr("hpsearch.storage.studies.StudyRepository.get", _explode)
    logs.configure(as_json=as_json)
    headers = shared_api.admin | {"Cookie": f"hpsearch_session={token}", "X-Request-ID": "find-me"}
    assert shared_api.client.get("/v1/studies/some", headers=headers).status_code == 500
    assert shared_api.client.get("/ui/studies/some", headers=headers, follow_redirects=False).status_code == 500
    said = capsys.readouterr().err
    assert said.count("find-me") >= 2
    assert "planted" in said
    assert "_explode" in said, "the place is told"
    assert _PASSWORD not in said
    for start in range(0, len(token) - 12, 4):
        assert token[start : start + 12] not in said
    if as_json:
        for line in said.splitlines():
            json.loads(line)


def test_a_workers_traceback_holds_no_secret(capsys: pytest.CaptureFixture[str], as_before: None) -> None:
    worker_log.configure(as_json=False)
    try:
        _explode()
    except RuntimeError:
        worker_log.logger().exception("failed")
    said = capsys.readouterr().err
    assert "planted" in said
    assert _PASSWORD not in said
