"""Data sets over HTTP: taken whole or not at all."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from api.request_bodies.dataset_form import _stem
from hpsearch.settings import Settings
from tests.api.conftest import STUDY, InProcessApi, Live, _in_process, bearer_of, eventually
from tests.chaos.places import NotHereError, small_disk
from tests.required import lacking

_CSV = "a,b,kind\n" + "".join(f"{i},{i % 7},{'xy'[i % 2]}\n" for i in range(60))


def _upload(shared_api: InProcessApi, content: bytes | str, filename: str = "data.csv", **fields: str) -> Any:
    return shared_api.client.post(
        "/v1/datasets", files={"file": (filename, content)}, data=fields, headers=shared_api.headers["submit"]
    )


def _stored(shared_api: InProcessApi | Live) -> list[str]:
    """Return what is in the content store or on its way there."""
    content = shared_api.context.content
    return [*content.store.names(), *(path.name for path in content.new_temporary().parent.iterdir())]


def test_a_data_set_from_upload_to_deletion(service: InProcessApi) -> None:
    made = _upload(service, _CSV, name="mine", target="kind")
    assert made.status_code == 201, made.text
    dataset = made.json()
    path = made.headers["Location"]
    assert path == f"/v1/datasets/{dataset['dataset_id']}"
    assert (dataset["name"], dataset["target"], dataset["task"], dataset["n_rows"]) == ("mine", "kind", "binary", 60)

    for scope in ("read", "worker"):
        assert service.client.get(path, headers=service.headers[scope]).json() == dataset
        profile = service.client.get(f"{path}/profile", headers=service.headers[scope]).json()
        assert [column["name"] for column in profile["columns"]] == ["a", "b"]
        assert profile["classes"] == ["x", "y"]
    listed = service.client.get("/v1/datasets", headers=service.headers["read"]).json()["items"]
    assert listed == [dataset]

    content = service.client.get(f"{path}/content", headers=service.headers["worker"])
    assert hashlib.sha256(content.content).hexdigest() == dataset["digest"] == content.headers["X-Content-SHA256"]
    tagged = service.headers["worker"] | {"If-None-Match": content.headers["ETag"]}
    assert service.client.get(f"{path}/content", headers=tagged).status_code == 304
    assert service.client.get(f"{path}/content", headers=service.headers["read"]).status_code == 403

    again = _upload(service, _CSV, name="mine", target="kind")
    assert again.json() == dataset
    assert len(_stored(service)) == 1

    study = STUDY | {"dataset": {"id": dataset["dataset_id"]}}
    study_id = service.client.post("/v1/studies", json=study, headers=service.admin).json()["study_id"]
    assert service.client.delete(path, headers=service.headers["submit"]).json()["code"] == "dataset.in_use"
    service.client.post(f"/v1/studies/{study_id}/cancel", headers=service.admin)
    service.client.delete(f"/v1/studies/{study_id}", headers=service.admin)
    assert service.client.delete(path, headers=service.headers["submit"]).status_code == 204
    assert service.client.get(path, headers=service.headers["read"]).status_code == 404
    assert _stored(service) == []


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (b"", "data.csv"),
        (b"<html><body>no</body></html>", "data.npz"),
        (b"\x1f\x8b" + b"\x00" * 50, "data.csv"),
        (b"PK\x03\x04" + b"\x00" * 50, "data.npz"),
        (b"PAR1" + b"\x00" * 50 + b"PAR1", "data.parquet"),
        (b"a,b\n1,2\n", "data.csv"),
        (b"a,\x00b\n", "data.csv"),
    ],
)
def test_unusable_files_leave_nothing(shared_api: InProcessApi, content: bytes, filename: str) -> None:
    answer = _upload(shared_api, content, filename)
    assert answer.status_code == 422, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert str(shared_api.context.settings.data_dir) not in answer.text
    assert _stored(shared_api) == []
    assert shared_api.client.get("/v1/datasets", headers=shared_api.admin).json()["items"] == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"target": "\x00"}, "target"),
        ({"owner": "me"}, "owner"),
        ({"target": "nothing"}, None),
    ],
)
def test_unusable_fields(shared_api: InProcessApi, fields: dict[str, str], field: str | None) -> None:
    answer = _upload(shared_api, _CSV, **fields)
    assert answer.status_code == 422, answer.text
    assert field is None or answer.json()["errors"][0]["field"] == field
    assert _stored(shared_api) == []


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "multipart/form-data", "multipart/mixed; boundary=x", "text/csv"]
)
def test_only_forms_are_taken(shared_api: InProcessApi, content_type: str | None) -> None:
    headers = shared_api.headers["submit"] | ({} if content_type is None else {"Content-Type": content_type})
    assert shared_api.client.post("/v1/datasets", content=b"x", headers=headers).status_code == 415


def test_the_cap_holds_whatever_is_announced(tmp_path: Path) -> None:
    for shared_api in _in_process(Settings(data_dir=tmp_path, max_upload_bytes=100_000)):
        headers = shared_api.headers["submit"] | {"Content-Type": "multipart/form-data; boundary=x"}
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

        def pour(head: bytes = head) -> Any:
            yield head
            for _ in range(100):
                yield b"1,2\n" * 2_500

        assert shared_api.client.post("/v1/datasets", content=pour(), headers=headers).status_code == 413
        announced = headers | {"Content-Length": str(2**40)}
        assert shared_api.client.post("/v1/datasets", content=head, headers=announced).status_code == 413
        assert _stored(shared_api) == []
        assert shared_api.app.state.shared.uploads.n_taken == 0


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("iris.csv", "iris"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\iris.parquet", "iris"),
        ("a\x00\x1b[31m.csv", "a[31m"),
        ("", "data"),
        (".csv", "data"),
        ("x" * 300, "x" * 200),
        ("CON", "CON"),
    ],
)
def test_a_name_is_made_of_any_file_name(filename: str, name: str) -> None:
    assert _stem(filename) == name


def _half_an_upload(live: Live, headers: dict[str, str] | None = None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", live.port))
    head = (
        "POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {(headers or live.admin)['Authorization']}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 3000000\r\n\r\n"
    )
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"1,2\n" * 400_000
    connection.sendall(head.encode() + body)
    return connection


def test_an_upload_cut_off_leaves_nothing(live: Live) -> None:
    connection = _half_an_upload(live)
    shared_api = live.app.state.shared
    eventually(lambda: shared_api.uploads.n_taken == 1 and len(_stored(live)) == 1)
    connection.close()
    eventually(lambda: shared_api.uploads.n_taken == 0 and not _stored(live))
    with live.client() as client:
        assert client.get("/v1/datasets").json()["items"] == []


def test_a_dawdling_upload_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.request_bodies.uploads._GRACE_S", 0.5)
    connection = _half_an_upload(live)
    connection.settimeout(10)
    answer = connection.recv(65_536)
    assert b"408" in answer.split(b"\r\n")[0]
    assert b"body.too_slow" in answer
    eventually(lambda: live.app.state.shared.uploads.n_taken == 0 and not _stored(live))
    connection.close()


def _set_limit(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    if limit == "pace":
        monkeypatch.setattr("api.request_bodies.uploads._GRACE_S", 0.5)
        monkeypatch.setattr("api.request_bodies.uploads._MIN_BYTES_PER_S", 10**9)
    else:
        monkeypatch.setattr("api.request_bodies.uploads._MAX_S", 0.5)


@pytest.mark.parametrize("limit", ["pace", "time"])
def test_an_upload_in_drips_is_given_up(live: Live, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    _set_limit(monkeypatch, limit)
    connection = _half_an_upload(live)
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.1):
            try:
                connection.sendall(b"1")
            except OSError:
                return

    thread = threading.Thread(target=drip)
    thread.start()
    connection.settimeout(10)
    assert b"408" in connection.recv(65_536).split(b"\r\n")[0]
    stop.set()
    thread.join()
    connection.close()


def test_only_so_many_uploads_at_once(live: Live) -> None:
    others = [bearer_of(live.context, "submit") for _ in range(2)]
    with live.client() as client:
        connections = [_half_an_upload(live) for _ in range(2)]
        eventually(lambda: live.app.state.shared.uploads.n_taken == 2)
        answer = client.post("/v1/datasets", files={"file": ("a.csv", _CSV)})
        assert answer.status_code == 429, "two of one token"
        assert "Retry-After" in answer.headers
        connections += [_half_an_upload(live, others[0]) for _ in range(2)]
        eventually(lambda: live.app.state.shared.uploads.n_taken == 4)
        answer = client.post("/v1/datasets", files={"file": ("a.csv", _CSV)}, headers=others[1])
        assert answer.status_code == 429, "four in all"
        begun = time.monotonic()
        assert client.get("/v1/datasets").status_code == 200
        assert time.monotonic() - begun < 2
    for connection in connections:
        connection.close()
    eventually(lambda: live.app.state.shared.uploads.n_taken == 0)


def test_a_full_disk_is_told_and_nothing_stays(tmp_path: Path) -> None:
    chance = random.Random(0)
    rows = (f"{chance.random()},{chance.random()},{'xy'[i % 2]}\n" for i in range(80_000))
    fits_once = "a,b,kind\n" + "".join(rows)
    try:
        with small_disk(tmp_path / "small", megabytes=4) as folder:
            for shared_api in _in_process(Settings(data_dir=folder)):
                # No room for what is sent; and none for it beside what is made of it.
                for content in (b"1,2\n" * 2_000_000, fits_once):
                    answer = _upload(shared_api, content)
                    assert (answer.status_code, answer.json()["code"]) == (507, "server.disk_full"), answer.text
                    assert _stored(shared_api) == []
                assert _upload(shared_api, _CSV).status_code == 201
    except NotHereError as error:
        lacking("MOUNT", str(error))
