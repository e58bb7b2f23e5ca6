"""Contents in an S3-compatible service keep every promise of a content store; against a server of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.content.s3 import S3Content
from hpsearch.errors import UnavailableError
from hpsearch.testing.content_conformance import ContentConformance, name, put
from tests.content.s3_server import KEY, SECRET, environment, make_bucket, s3_server


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3") / "log") as address:
        make_bucket(address, "bucket")
        yield address


@pytest.fixture(autouse=True)
def _environment(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in environment(address).items():
        monkeypatch.setenv(variable, value)


class TestS3(ContentConformance):
    """`S3Content`."""

    @pytest.fixture(autouse=True)
    def _prefix(self) -> None:
        self.prefix = f"somewhere/{uuid.uuid4().hex}"

    def open(self) -> S3Content:
        return S3Content("bucket", self.prefix)


def test_other_objects_and_prefixes_are_left_alone(tmp_path: Path):
    outer, inner = S3Content("bucket", "alone"), S3Content("bucket", "alone/inner")
    inner.set_owner("inner")
    stored = put(inner, tmp_path, b"of the inner one")
    assert outer.owner() is None
    assert list(outer.names()) == []
    assert list(inner.names()) == [stored]


@pytest.mark.parametrize("bucket", ["nothing", "bucket"])
def test_what_is_wrong_is_a_sentence_without_keys(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if bucket == "bucket":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    store = S3Content(bucket)
    path = tmp_path / "content"
    path.write_bytes(b"content")
    for call in (
        lambda: store.put(name(b"content"), path),
        lambda: list(store.names()),
        lambda: store.set_owner("somebody"),
    ):
        with pytest.raises(UnavailableError) as refused:
            call()
        assert refused.value.code == "content.unavailable"
        assert refused.value.message.startswith(f"the content store s3://{bucket} does not answer as expected: ")
        assert "\n" not in refused.value.message
        assert KEY not in str(refused.value.__cause__) + refused.value.message
        assert SECRET not in str(refused.value.__cause__) + refused.value.message
