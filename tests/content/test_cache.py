"""What is kept on this machine of a store elsewhere: verified, and no more than so much."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpsearch.content.cache import Cache
from hpsearch.errors import ConflictError
from hpsearch.testing.content_conformance import name


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache", max_bytes=1000)


def _never() -> Iterator[bytes]:
    raise AssertionError
    yield b""


def test_a_content_is_read_once(cache: Cache, tmp_path: Path) -> None:
    path = cache.path_of(name(b"abc"), iter([b"a", b"bc"]))
    assert path.read_bytes() == b"abc"
    assert cache.path_of(name(b"abc"), _never()) == path
    cache.forget(name(b"abc"))
    assert not path.exists()


def test_what_is_not_the_content_is_refused_and_not_kept(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="altered") as refused:
        cache.path_of(name(b"abc"), [b"other"])
    assert refused.value.code == "blob.digest_mismatch"
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def test_a_damaged_file_is_read_again(cache: Cache) -> None:
    path = cache.path_of(name(b"abc"), [b"abc"])
    path.write_bytes(b"other")
    assert cache.path_of(name(b"abc"), [b"abc"]).read_bytes() == b"abc"


def test_the_longest_unused_are_deleted_but_not_what_is_in_use(cache: Cache) -> None:
    contents = [bytes([number]) * 400 for number in range(4)]
    paths = [cache.path_of(name(content), [content]) for content in contents[:3]]
    assert all(path.exists() for path in paths), "all were handed out a moment ago"
    now = time.time()
    for path, age_s in zip(paths, (300, 500, 400), strict=True):
        os.utime(path, (now - age_s, now - age_s))
    paths.append(cache.path_of(name(contents[3]), [contents[3]]))
    assert [path.exists() for path in paths] == [True, False, False, True]


def test_many_that_want_the_same_content_read_it_once(cache: Cache) -> None:
    n_reads = 0

    def slowly() -> Iterator[bytes]:
        nonlocal n_reads
        n_reads += 1
        time.sleep(0.05)
        yield b"abc"

    threads = [threading.Thread(target=cache.path_of, args=(name(b"abc"), slowly())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert n_reads == 1
