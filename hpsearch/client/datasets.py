"""Data sets over HTTP: uploading, looking at and fetching them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hpsearch.client.connection import Connection, segment
from hpsearch.client.files import download, opened
from hpsearch.client.paging import walk
from hpsearch.domain.dataset import Dataset, DatasetProfile
from hpsearch.wire.pages import Page


class Datasets:
    """The data sets of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def upload(self, path: Path, *, name: str | None = None, target: str | None = None) -> Dataset:
        """Return the data set made from a CSV, Parquet or NPZ file.

        Args:
            path: The file; read as a stream.
            name: For people; the file's name when left out.
            target: Column to predict; required unless the file says it (NPZ with `y`).

        Raises:
            InvalidInputError: The file can not be read here.
            InvalidDatasetError: The server can not use its content; the message names row or column.
        """
        fields = {"name": name or path.stem} | ({} if target is None else {"target": target})
        with opened(path) as file:
            files = {"file": (path.name, file, "application/octet-stream")}
            response = self._connection.upload("POST", "/v1/datasets", files=files, data=fields)
        return self._connection.read(Dataset, response)

    def list(self, *, limit: int | None = None, page_token: str | None = None) -> Page[Dataset]:
        """Return a page of the data sets, newest first."""
        params = {"limit": limit, "page_token": page_token}
        return self._connection.call(Page[Dataset], "GET", "/v1/datasets", params=params)

    def all(self) -> Iterator[Dataset]:
        """Iterate over all data sets, page by page."""
        return walk(lambda token: self.list(page_token=token))

    def get(self, dataset_id: str) -> Dataset:
        """Return one data set."""
        return self._connection.call(Dataset, "GET", f"/v1/datasets/{segment(dataset_id)}")

    def profile(self, dataset_id: str) -> DatasetProfile:
        """Return its columns, their kinds, what is missing, the class balance and warnings."""
        return self._connection.call(DatasetProfile, "GET", f"/v1/datasets/{segment(dataset_id)}/profile")

    def download(self, dataset_id: str, target: Path, *, sha256: str | None = None) -> str:
        """Write the stored content (Parquet) to `target` and return its SHA-256 in hex.

        Args:
            dataset_id: Which.
            target: File to write; its folder must exist.
            sha256: What the content must have; checked besides the digest the server announces.

        Raises:
            ConflictError: With code `digest_mismatch`; the target is as it was before.
        """
        return download(self._connection, f"/v1/datasets/{segment(dataset_id)}/content", target, sha256=sha256)

    def delete(self, dataset_id: str) -> None:
        """Delete a data set that no study uses."""
        self._connection.send("DELETE", f"/v1/datasets/{segment(dataset_id)}")
