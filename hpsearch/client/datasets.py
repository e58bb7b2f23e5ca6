"""Data sets over HTTP: upload, profile and download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from hpsearch.client.checked import checked, unfit
from hpsearch.client.connection import Connection, segment
from hpsearch.client.files import download, opened
from hpsearch.client.frames import table_of
from hpsearch.client.paging import walk
from hpsearch.domain.dataset import Dataset, DatasetProfile
from hpsearch.wire.pages import Page


@checked
class Datasets:
    """The data sets of a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def upload(self, data: Any, y: Any = None, *, name: str | None = None, target: str | None = None) -> Dataset:
        """Return the data set made from a file or from rows in memory; the same content twice is one data set.

        Args:
            data: Path of a CSV, Parquet or NPZ file, read as a stream; a pandas or polars data frame; a
                dictionary of columns; or a numpy array (n_rows, n_columns), whose columns are called x0, x1, ….
            y: The value to predict for each row (array, series or list), when `data` does not hold it.
            name: For people; the file's name, or `data`, when left out.
            target: Column to predict; the name of `y`, or `target`, with `y`. A file or frame without it is taken to
                have it in its last column (an NPZ in `y`).

        Raises:
            InvalidInputError: The file can not be read, or the rows not be sent; the message says what was expected.
            InvalidDatasetError: The server can not use the content; the message names row or column.
        """
        if isinstance(data, str | Path):
            if y is not None:
                raise unfit(y, "left out with a file, which holds its target", what="Datasets.upload: y")
            path = Path(data).expanduser()
            with opened(path) as file:
                return self._send(file, path.name, name or path.stem, target)
        table = table_of(data, y, target)
        return self._send(table.content, "data.parquet", name or "data", table.target)

    def _send(self, file: BinaryIO, file_name: str, name: str, target: str | None) -> Dataset:
        fields = {"name": name} | ({} if target is None else {"target": target})
        files = {"file": (file_name, file, "application/octet-stream")}
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

    def download(self, dataset_id: str, target: Path | str, *, sha256: str | None = None) -> str:
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
