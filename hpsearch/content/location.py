"""Locations of content stores, as the setting `HPSEARCH_CONTENT` names them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hpsearch.errors import InvalidInputError

Kind = Literal["files", "database", "s3"]

_S3: Final = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>[^?#\\]*))?")
EXPECTED: Final = "files: (in the data directory), files:/a/shared/folder, database: or s3://bucket/prefix"


@dataclass(frozen=True)
class Location:
    """Where contents are kept.

    Attributes:
        kind: Of the store.
        folder: Of files; None for the data directory.
        bucket: Of an S3-compatible service.
        prefix: What the names of the objects begin with, without slashes at its ends; may be empty.
    """

    kind: Kind
    folder: Path | None = None
    bucket: str = ""
    prefix: str = ""

    def __str__(self) -> str:
        """Return it as the setting names it."""
        if self.kind == "s3":
            return f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")
        return f"{self.kind}:{self.folder or ''}"

    @classmethod
    def parse(cls, text: str) -> Location:
        """Return the location a text names.

        Raises:
            InvalidInputError: It names none; the message does not repeat it, it may hold a password.
        """
        if text == "database:":
            return cls("database")
        if text.startswith("files:"):
            folder = text.removeprefix("files:")
            path = Path(folder).expanduser()
            if not folder or path.is_absolute():
                return cls("files", path if folder else None)
        found = _S3.fullmatch(text)
        if found is not None:
            return cls("s3", bucket=found["bucket"], prefix=(found["prefix"] or "").strip("/"))
        msg = f"HPSEARCH_CONTENT names no content store; expected {EXPECTED}; keys belong into the environment"
        raise InvalidInputError(msg, code="settings.invalid")


# The data directory, and the database itself.
FILES: Final = Location("files")
DATABASE: Final = Location("database")
