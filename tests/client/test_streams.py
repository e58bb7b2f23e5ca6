"""Downloads are whole and checked; event streams go on across broken connections."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hpsearch import errors
from hpsearch.client import Backoff
from hpsearch.client.files import announced_sha256, content_digest
from tests.client.answers import AT, S1, T1, Recorder, leaderboard, problem

MODEL = os.urandom(3_000_000)
CUT = httpx2.ReadError("cut")
DIGEST = hashlib.sha256(MODEL)


def sending(content: bytes, digest: bytes | None = DIGEST.digest()) -> Recorder:
    headers = {} if digest is None else {"Content-Digest": content_digest(digest)}
    return Recorder(lambda _r: httpx2.Response(200, content=content, headers=headers))


class TestDownloads:
    def test_what_arrives_is_checked_and_put_in_place(self, tmp_path: Path):
        recorder = sending(MODEL)
        target = tmp_path / "best.keras"
        target.write_bytes(b"an older one")
        with recorder.client() as client:
            assert client.studies.download_model(S1, target) == DIGEST.hexdigest()
            assert client.trials.download_model(T1, target) == DIGEST.hexdigest()
        assert target.read_bytes() == MODEL
        assert [r.url.path for r in recorder.requests] == [f"/v1/studies/{S1}/model", f"/v1/trials/{T1}/model"]
        assert recorder.last.headers["Accept-Encoding"] == "identity"
        assert list(tmp_path.iterdir()) == [target]

    @pytest.mark.parametrize("content", [MODEL[:-1], MODEL + b"x", b""])
    def test_altered_content_never_takes_the_targets_place(self, tmp_path: Path, content: bytes):
        target = tmp_path / "best.keras"
        target.write_bytes(b"an older one")
        with sending(content).client() as client, pytest.raises(errors.ConflictError) as caught:
            client.studies.download_model(S1, target)
        assert caught.value.code == "digest_mismatch"
        assert target.read_bytes() == b"an older one"
        assert list(tmp_path.iterdir()) == [target]

    def test_the_callers_own_digest_counts_as_well(self, tmp_path: Path):
        with sending(MODEL, None).client() as client, pytest.raises(errors.ConflictError):
            client.datasets.download("d1", tmp_path / "x", sha256="0" * 64)
        assert list(tmp_path.iterdir()) == []

    def test_a_refusal_leaves_nothing(self, tmp_path: Path):
        recorder = Recorder(lambda _r: problem(404, "model.not_found", "there is no model yet"))
        with recorder.client() as client, pytest.raises(errors.NotFoundError, match="no model yet"):
            client.studies.download_model(S1, tmp_path / "best.keras")
        assert list(tmp_path.iterdir()) == []

    def test_a_connection_that_breaks_leaves_nothing(self, tmp_path: Path):
        def broken() -> Iterator[bytes]:
            yield b"half"
            raise CUT

        recorder = Recorder(lambda _r: httpx2.Response(200, content=broken()))
        with recorder.client() as client, pytest.raises(errors.UnavailableError, match="cut"):
            client.studies.download_model(S1, tmp_path / "best.keras")
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_is_not_there(self, tmp_path: Path):
        with (
            sending(MODEL).client() as client,
            pytest.raises(errors.HpsearchError, match="can not be written") as caught,
        ):
            client.studies.download_model(S1, tmp_path / "nowhere" / "best.keras")
        assert caught.value.code == "file.unwritable"

    def test_a_full_disk_has_its_own_code(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        def full(_descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)
        with sending(MODEL).client() as client, pytest.raises(errors.HpsearchError) as caught:
            client.studies.download_model(S1, tmp_path / "best.keras")
        assert caught.value.code == "disk.full"
        assert list(tmp_path.iterdir()) == []

    def test_exports_name_their_format(self, tmp_path: Path):
        recorder = sending(b"a,b\n", None)
        with recorder.client() as client:
            client.studies.export(S1, tmp_path / "trials.parquet", format="parquet")
        assert recorder.last.url.raw_path == f"/v1/studies/{S1}/export?format=parquet".encode()

    def test_a_file_that_can_not_be_read_is_named(self, tmp_path: Path):
        with sending(b"").client() as client, pytest.raises(errors.InvalidInputError, match="no such file"):
            client.datasets.upload(tmp_path / "missing.csv")

    @pytest.mark.parametrize(
        ("header", "found"),
        [
            (content_digest(bytes(32)), "00" * 32),
            (f"sha-512=:AAAA:, {content_digest(bytes(32))}", "00" * 32),
            ("sha-256=:short=:", None),
            ("md5=:AAAA:", None),
            ("", None),
        ],
    )
    def test_digest_headers(self, header: str, found: str | None):
        assert announced_sha256(httpx2.Headers({"Content-Digest": header})) == found


def frame(event_id: int, data: dict[str, Any] | None = None) -> str:
    data = data or {"event_id": str(event_id), "kind": "trial.complete", "at": AT}
    return f"id: {event_id}\nevent: trial.complete\ndata: {json.dumps(data)}\n\n"


def stream(text: str, *, cut: bool = False) -> httpx2.Response:
    def chunks() -> Iterator[bytes]:
        yield text.encode()
        if cut:
            raise CUT

    return httpx2.Response(200, content=chunks(), headers={"Content-Type": "text/event-stream; charset=utf-8"})


class TestEvents:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch: pytest.MonkeyPatch):
        def next_s(self: Backoff, asked_s: float = 0.0) -> float:
            self.n_failures += 1
            return asked_s * 0

        monkeypatch.setattr(Backoff, "next_s", next_s)

    def test_none_is_lost_or_repeated_across_broken_connections(self):
        answers = iter(
            [
                stream(": open\n\n" + frame(1) + frame(2), cut=True),
                problem(503, "server.unavailable"),
                stream(frame(3) + "id: 4\ndata: {}\n\n"),
                stream(frame(5)),
                httpx2.Response(204),
            ]
        )
        recorder = Recorder(lambda _r: next(answers))
        with recorder.client() as client:
            assert [event.event_id for event in client.studies.events(S1)] == ["1", "2", "3", "5"]
        assert [r.headers.get("Last-Event-ID") for r in recorder.requests] == [None, "2", "2", "4", "5"]
        assert recorder.last.headers["Accept"] == "text/event-stream"

    def test_it_can_begin_in_the_middle_and_be_left_at_any_time(self):
        recorder = Recorder(lambda _r: stream(frame(8) + frame(9)))
        with recorder.client() as client:
            assert next(client.studies.events(S1, after="7")).event_id == "8"
        assert recorder.last.headers["Last-Event-ID"] == "7"

    def test_it_gives_up_after_as_many_attempts_as_allowed(self):
        recorder = Recorder(lambda _r: problem(503, "server.unavailable"))
        with recorder.client() as client, pytest.raises(errors.UnavailableError):
            list(client.studies.events(S1, attempts=3))
        assert len(recorder.requests) == 3

    def test_refusals_and_other_kinds_of_answers_end_it(self):
        missing = Recorder(lambda _r: problem(404, "study.not_found"))
        with missing.client() as client, pytest.raises(errors.NotFoundError):
            list(client.studies.events(S1))
        with Recorder({"items": []}).client() as client, pytest.raises(errors.HpsearchError) as caught:
            list(client.studies.events(S1))
        assert caught.value.code == "server.not_understood"

    def test_leaderboards_come_whenever_they_change(self):
        answers = iter([stream(frame(1, leaderboard())), httpx2.Response(204)])
        recorder = Recorder(lambda _r: next(answers))
        with recorder.client() as client:
            assert [board.metric for board in client.studies.leaderboards(S1, limit=5)] == ["accuracy"]
        assert recorder.requests[0].url.raw_path == f"/v1/studies/{S1}/leaderboard/stream?limit=5".encode()
