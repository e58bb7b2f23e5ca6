"""No file hurts the server: each is refused in time with a sentence, nothing is run, nothing is left."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from hpsearch.data.reading.open_file import read_file
from hpsearch.errors import InvalidDatasetError
from hpsearch.ingest.describe import describe
from hpsearch.ingest.intake import ingest_upload
from hpsearch.ingest.machine import memory_of_machine
from hpsearch.ingest.parser_process import Limits
from tests.ingest import hostile, thrift

NAMES = sorted(hostile.files(Path("canary")))
# Those that may take a process down with them, and some of each other kind, go the whole way through a child; to start
# one for each of the others would only test the same thing again.
WHOLE_WAY = [
    *(name for name in NAMES if "page of" in name or "parquet" in name),
    *("npz with a pickle", "npy header of 32 GiB", "npz bomb", "zip64 with 2^40 members", "deep header"),
    *("csv of one long line", "csv of a million columns", "gzip", "an empty file"),
]
# Processor time: what other programs of the machine do meanwhile does not count.
IN_TIME_S = 2.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, tuple[bytes, str]], Path]:
    canary = tmp_path_factory.mktemp("cage") / "canary"
    return hostile.files(canary), canary


def check_sentence(refused: InvalidDatasetError, part: str, folder: Path) -> None:
    assert part in str(refused)
    for unwanted in ("Traceback", str(folder), "\n"):
        assert unwanted not in str(refused)


@pytest.mark.parametrize("name", WHOLE_WAY)
def test_refused_in_time_with_a_sentence_and_without_a_trace(
    made: tuple[dict[str, tuple[bytes, str]], Path], name: str, tmp_path: Path
) -> None:
    files, canary = made
    data, part = files[name]
    path = tmp_path / "upload"
    path.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(InvalidDatasetError) as refused:
        ingest_upload(path, target=None)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < IN_TIME_S
    check_sentence(refused.value, part, tmp_path)
    assert not canary.exists()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WHOLE_WAY])
def test_refused_by_the_reader(made: tuple[dict[str, tuple[bytes, str]], Path], name: str, tmp_path: Path) -> None:
    files, canary = made
    data, part = files[name]
    path = tmp_path / "upload"
    path.write_bytes(data)
    began = time.process_time()
    with pytest.raises(InvalidDatasetError) as refused:
        describe(read_file(path))
    assert time.process_time() - began < IN_TIME_S
    check_sentence(refused.value, part, tmp_path)
    assert not canary.exists()


def test_the_forged_files_are_fine_before_they_are_forged(tmp_path: Path) -> None:
    good = hostile.parquet(hostile.small())
    assert hostile.with_footer(good, lambda _: None) == good
    for name, data in {
        "parquet": good,
        "pages": hostile.parquet(hostile.small().select("a", "y")),
        "npz": hostile.zipped(
            {
                "X.npy": hostile.npy(hostile.described("(30, 2)"), bytes(range(240)) * 2),
                "y.npy": hostile.npy(hostile.described("(30,)", "'<i1'"), bytes([0, 1] * 15)),
            }
        ),
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert ingest_upload(path, target=None).profile.task == "binary"


def test_a_pickle_would_have_run(tmp_path: Path) -> None:
    import numpy as np

    canary = tmp_path / "canary"
    np.load(io.BytesIO(hostile.pickled_npz(canary)), allow_pickle=True)["X"]
    assert canary.exists()


def test_the_bomb_is_one_and_never_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(hostile.bomb())
    import zipfile

    with zipfile.ZipFile(path) as archive:
        assert sum(member.file_size for member in archive.infolist()) > 900 * path.stat().st_size
        assert archive.read("c39.npy")[-8:] == bytes(8)
    reply, peak_kib = _parsed_alone(path, tmp_path)
    assert reply["error"]["code"] == "dataset.too_large"
    assert peak_kib < 300_000


def _parsed_alone(path: Path, tmp_path: Path) -> tuple[dict[str, Any], int]:
    """Return the answer of a child and the most memory it had, in KiB: alone, so that the system can tell."""
    order = {
        "path": str(path),
        "content": str(tmp_path / "content"),
        "target": None,
        "task": None,
        "limits": {"memory_bytes": 4 << 30, "cpu_s": 20, "wall_s": 20.0},
    }
    program = (
        "import json, resource, subprocess, sys\n"
        "order, command = sys.stdin.buffer.read(), [sys.executable, '-m', 'hpsearch.ingest.child']\n"
        "done = subprocess.run(command, input=order, capture_output=True)\n"
        "print(json.dumps([json.loads(done.stdout), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(order), capture_output=True, text=True, check=True
    )
    reply, peak_kib = json.loads(seen.stdout)
    return reply, peak_kib


def test_few_files_are_parsed_at_once_and_at_low_priority(tmp_path: Path) -> None:
    paths = [tmp_path / f"upload {number}" for number in range(3)]
    for path in paths:
        os.mkfifo(path)  # nobody writes into it, so the child waits
    with ThreadPoolExecutor() as threads:
        for path in paths:
            threads.submit(ingest_upload, path, target=None, limits=Limits(wall_s=60.0))
        deadline = time.monotonic() + 30
        while len(nice := [child.nice() for child in _children()]) < 2 or min(nice) == psutil.Process().nice():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert nice == [min(psutil.Process().nice() + 10, 19)] * 2
        for path in paths:
            path.open("wb").close()  # waits for its child, which then finds nothing in it


def _children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "hpsearch.ingest.child" in child.cmdline()]


def test_free_text_is_left_out_before_it_is_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    texts = ["x" * 1_000_000] * 200
    pl.DataFrame({"a": texts, "b": list(range(200)), "y": [0, 1] * 100}).write_parquet(path)
    del texts
    reply, peak_kib = _parsed_alone(path, tmp_path)
    assert "texts of up to 1,000,000 characters, which are no categories" in json.dumps(reply["profile"]["warnings"])
    assert peak_kib < 200_000  # 300,000 when all texts were looked through first


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"memory.max": "max"}, None),
        ({"memory.max": "1000000"}, 1_000_000),
        ({"a/memory.max": "3000000", "a/b/memory.max": "max"}, 3_000_000),
        ({"a/memory.max": "3000000", "a/b/memory.max": "2000000"}, 2_000_000),
        ({"memory/a/b/memory.limit_in_bytes": "4000000"}, 4_000_000),
        ({"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_the_memory_is_that_of_the_container(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    own = tmp_path / "own"
    own.write_text("5:memory:/a/b\n3:cpu,cpuacct:/c\n0::/a/b\n")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert memory_of_machine(tmp_path, own) == (expected or psutil.virtual_memory().total)
    assert memory_of_machine(tmp_path, tmp_path / "none") == psutil.virtual_memory().total


def test_memory_beyond_the_limit_is_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_bytes(b"a,b,y\n" + b"1.5,2.5,0\n2.5,3.5,1\n" * 2_000_000)
    with pytest.raises(InvalidDatasetError, match="needs more memory") as refused:
        ingest_upload(path, target="y", limits=Limits(memory_bytes=900 << 20))
    assert refused.value.code == "dataset.too_large"
    assert list(tmp_path.iterdir()) == [path]
    mine = resource.getrlimit(resource.RLIMIT_AS)
    assert mine == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def test_time_beyond_the_limit_is_a_refusal_and_the_child_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "upload"
    os.mkfifo(path)
    # Nobody writes into the pipe, so the child waits for ever.
    began = time.monotonic()
    with pytest.raises(InvalidDatasetError, match="could not be read within 1 s"):
        ingest_upload(path, target=None, limits=Limits(wall_s=1.0))
    assert time.monotonic() - began < 30
    left = [child for child in psutil.Process().children() if "hpsearch.ingest.child" in child.cmdline()]
    assert left == []


def test_processor_time_beyond_the_limit_is_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_bytes(b"a,b,y\n" + b"abcdefg,2.5,0\n2.5,3.5,1\n" * 1_500_000)
    with pytest.raises(InvalidDatasetError, match="takes too long to read"):
        ingest_upload(path, target="y", limits=Limits(cpu_s=1))


def test_the_child_sees_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hpsearch.ingest import parser_process

    monkeypatch.setenv("HPSEARCH_TOKEN", "hps_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert "secret" not in json.dumps(parser_process._environment())


def test_the_child_imports_nothing_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("polars", "json", "hpsearch"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w').close()\nraise SystemExit\n")
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "upload"
    path.write_bytes(b"a,y\n1,0\n2,1\n3,0\n")
    assert ingest_upload(path, target=None).profile.n_rows == 3
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "name",
    ["../../x", "/etc/x", "..\\x", "%2e%2e%2f", "CON", "http:x", "*.csv", "a" * 255, "[x].npz", "~", "data.csv.gz"],
)
def test_a_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name.rsplit("/", 1)[-1]
    path.write_bytes(b"a,y\n1,0\n2,1\n3,0\n")
    assert describe(read_file(path)).profile.n_rows == 3


def test_thrift_reads_what_it_writes() -> None:
    made = thrift.Struct(
        {1: (thrift.I32, -5), 20: (thrift.BINARY, b"abc"), 21: (thrift.LIST, (thrift.I64, list(range(40))))}
    )
    assert thrift.Reader(thrift.encoded(thrift.STRUCT, made)).struct() == made
