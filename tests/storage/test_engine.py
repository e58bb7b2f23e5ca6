"""What a wrong or broken database reads like to a user."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.errors import ConflictError, InvalidInputError, UnavailableError
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from hpsearch.storage.engine import parse_url
from hpsearch.storage.store import Store


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://h/d", "sqlite://", "http://x"])
def test_a_wrong_url_is_one_sentence(url: str) -> None:
    with pytest.raises(InvalidInputError, match="HPSEARCH_DATABASE_URL"):
        parse_url(url)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "hpsearch.sqlite3").write_bytes(b"these are notes, not a database, and longer than a header " * 100)
    with pytest.raises(InvalidInputError, match="not a SQLite database"):
        Context.open(Settings(data_dir=tmp_path))


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with (
        Store("postgresql://nobody@127.0.0.1:1/nothing") as store,
        pytest.raises(UnavailableError, match="does not answer"),
    ):
        store.ping()


def test_a_second_server_on_one_file_is_refused(tmp_path: Path) -> None:
    first = Context.open(Settings(data_dir=tmp_path))
    try:
        with pytest.raises(ConflictError, match="already served by another process"):
            Context.open(Settings(data_dir=tmp_path))
    finally:
        first.close()
    Context.open(Settings(data_dir=tmp_path)).close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HPSEARCH_LEASE_S", "soon"),
        ("HPSEARCH_LEASE_S", "-1"),
        ("HPSEARCH_LEASE_S", "nan"),
        ("HPSEARCH_WORKERS", "1.5"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_received(name: str, value: str) -> None:
    with pytest.raises(InvalidInputError, match=name) as caught:
        Settings.load({name: value})
    assert value in caught.value.message


def test_a_heartbeat_must_fit_twice_into_the_lease() -> None:
    with pytest.raises(InvalidInputError, match="half"):
        Settings.load({"HPSEARCH_LEASE_S": "10", "HPSEARCH_HEARTBEAT_S": "6"})


def test_a_flag_wins_over_the_environment(tmp_path: Path) -> None:
    loaded = Settings.load(
        {"HPSEARCH_DATA_DIR": "/elsewhere", "HPSEARCH_WORKERS": "3"}, data_dir=tmp_path, workers=None
    )
    assert (loaded.data_dir, loaded.workers) == (tmp_path, 3)


def test_the_same_file_under_another_name_is_refused_too(tmp_path: Path) -> None:
    """Locks follow links: two names of one file are one file."""
    first = Context.open(Settings(data_dir=tmp_path / "data"))
    (file,) = (tmp_path / "data").glob("*.sqlite3")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "linked.sqlite3"
    link.symlink_to(file)
    try:
        with pytest.raises(ConflictError, match="already served by another process"):
            Context.open(Settings(data_dir=tmp_path / "elsewhere", database_url=f"sqlite:///{link}"))
    finally:
        first.close()


def test_a_folder_linked_to_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "share").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "share")
    plain, mounts = Path.read_text, Path("/proc/self/mounts")
    told = f"overlay / overlay rw 0 0\nserver:/share {tmp_path / 'share'} nfs4 rw 0 0\n"
    monkeypatch.setattr(Path, "read_text", lambda path, **how: told if path == mounts else plain(path, **how))
    with pytest.raises(InvalidInputError, match="network file system"):
        Context.open(Settings(data_dir=tmp_path / "data"))
