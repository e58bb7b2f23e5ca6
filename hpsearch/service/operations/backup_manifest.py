"""What an archive of `hpsearch db backup` says about itself."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from hpsearch.content.location import DATABASE, FILES, Location
from hpsearch.domain.strict import Frozen
from hpsearch.storage.dialects import DIALECTS

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class StoredContent(Frozen):
    """One file of an archive.

    Attributes:
        sha256: Of its bytes, in hex; a stored file is named by it.
        size_bytes: Uncompressed.
        copy_id: Which copy of the content it is in its store.
    """

    sha256: Digest
    size_bytes: Annotated[int, Field(ge=0)]
    copy_id: Annotated[str, Field(pattern=r"^([0-9a-f]{8})?$")] = ""


class DatabaseCopy(StoredContent):
    """The database in an archive.

    Attributes:
        dialect: Name of the kind of database that wrote it; it can be restored into the same kind only.
        revision: Of its schema.
    """

    dialect: str
    revision: str

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return DIALECTS[self.dialect].copy_name


class Manifest(Frozen):
    """What an archive holds.

    Attributes:
        format: Of the archive.
        hpsearch: Version that wrote it.
        made_at: When.
        database: The copy of the database.
        content: Stored files: data sets and models. None of them is a file of its own when the store is `database:`.
        missing: Digests of files that rows name and that were lost or altered before the backup.
        store: Where the files were kept, as `HPSEARCH_CONTENT` names it.
        store_uid: Id of the database among content stores; empty before there was one.
    """

    format: Literal[1] = 1
    hpsearch: str
    made_at: datetime
    database: DatabaseCopy
    content: tuple[StoredContent, ...]
    missing: tuple[Digest, ...] = ()
    store: str = str(FILES)
    store_uid: str = ""

    @property
    def is_all_in_database(self) -> bool:
        """Whether the copy of the database holds the contents, too."""
        return Location.parse(self.store) == DATABASE
