"""What differs between databases: addresses, claims, versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch.errors import ConflictError
from hpsearch.storage.dialects import DIALECTS, dialect_of
from hpsearch.storage.engine import claim, parse_url
from hpsearch.storage.store import Store


def test_each_dialect_is_found_by_an_address_and_a_connection(database_url: str) -> None:
    with Store(database_url) as store, store.read() as tx:
        assert store.dialect is dialect_of(parse_url(database_url)) is dialect_of(tx.connection)
        assert tx.is_alone is store.dialect.has_one_writer


@pytest.mark.parametrize("name", sorted(DIALECTS))
def test_the_example_of_a_message_is_an_address(name: str) -> None:
    assert dialect_of(parse_url(DIALECTS[name].example)).name == name


def test_the_version_is_known_after_the_first_contact(database_url: str) -> None:
    with Store(database_url) as store:
        store.ping()
        product, version = store.product.split(" ")
    assert product == store.dialect.product
    assert version[0].isdigit()


def test_a_file_is_claimed_once_and_a_shared_database_by_nobody(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'hpsearch.sqlite3'}"
    lock = claim(url)
    assert lock is not None
    with lock, pytest.raises(ConflictError, match="already served"):
        claim(url)
    again = claim(url)
    assert again is not None
    again.close()
    assert claim("postgresql://user@host/name") is None
