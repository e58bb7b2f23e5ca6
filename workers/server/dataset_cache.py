"""DataCache: the content of data sets on this machine, fetched once, named and checked by its SHA-256."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from hpsearch.client import Client
from hpsearch.client.files import file_sha256
from hpsearch.domain.dataset import DatasetProfile
from hpsearch.errors import ConflictError, HpsearchError
from hpsearch.wire.claims import StudyBrief

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEEP_S: Final = 30 * 86_400.0


class DataCache:
    """A folder of data sets, safe to share between worker processes.

    Args:
        folder: Made if missing; contents unused for 30 days are deleted.

    Raises:
        HpsearchError: With code `file.unwritable`: the folder can not be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[Path, DatasetProfile]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _KEEP_S:
                    path.unlink()

    def has(self, study: StudyBrief) -> bool:
        """Return whether the content of a study's data set is here, as far as can be seen without reading it."""
        return (self._folder / f"{study.dataset_digest}.parquet").exists()

    def fetch(self, client: Client, study: StudyBrief) -> tuple[Path, DatasetProfile]:
        """Return the verified content and the profile of a study's data set.

        Args:
            client: To the server.
            study: Names the data set and the digest its content must have.

        Raises:
            ConflictError: With code `digest_mismatch`: the server's content is not what the study was made with.
            HpsearchError: The server refuses or can not be reached, or (code `disk.full`, `file.unwritable`) the
                content can not be written here.
        """
        digest = study.dataset_digest
        if not _SHA256.fullmatch(digest):
            msg = f"the data set of {study.name} has no usable SHA-256, received {digest[:80]!r}"
            raise ConflictError(msg, code="digest_mismatch")
        known = self._known.get(digest)
        if known is not None and known[0].exists():
            return known
        path = self._folder / f"{digest}.parquet"
        if not self._is_intact(path, digest):
            client.datasets.download(study.dataset_id, path, sha256=digest)
        profile = client.datasets.profile(study.dataset_id)
        self._known[digest] = (path, profile)
        return path, profile

    def dataset_of(self, study: StudyBrief) -> tuple[Path, DatasetProfile]:
        """Return what `fetch` has returned for a study.

        Raises:
            KeyError: It has not been fetched.
        """
        return self._known[study.dataset_digest]

    def _is_intact(self, path: Path, digest: str) -> bool:
        if not path.exists():
            return False
        try:
            is_same = file_sha256(path) == digest
            path.touch()
        except (HpsearchError, OSError):
            return False
        return is_same
