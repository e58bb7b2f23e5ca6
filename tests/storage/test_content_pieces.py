"""Contents in PostgreSQL keep every promise of a content store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpsearch.storage.content_pieces import DatabaseContent
from hpsearch.storage.store import Store
from hpsearch.testing.content_conformance import ContentConformance


class TestDatabase(ContentConformance):
    """`DatabaseContent`."""

    has_owner = False

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> Iterator[None]:
        with Store(postgres_url) as self.database:
            yield

    def open(self) -> DatabaseContent:
        return DatabaseContent(self.database)
