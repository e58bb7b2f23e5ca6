"""A content store in a bucket of an S3-compatible service; the only importer of obstore."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hpsearch.content.store import checked, is_name, missing
from hpsearch.errors import InvalidInputError, UnavailableError

if TYPE_CHECKING:
    from obstore.store import S3Store

_OWNER: Final = "store-id"
# Each request is for one range: so a time limit on requests is none on contents, and one that fails is repeated alone.
_RANGE_BYTES: Final = 4 * 2**20
_TIMEOUT: Final = timedelta(seconds=30)
_CONNECT_TIMEOUT: Final = timedelta(seconds=5)
_N_RETRIES: Final = 2
# Parts of one upload that are on their way at the same time, 5 MiB each.
_N_PARTS: Final = 4
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


class S3Content:
    """Contents as objects below a prefix of a bucket.

    Address, region and keys come from the environment as obstore reads it (`AWS_ENDPOINT_URL`, `AWS_REGION`,
    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …), or from the machine's role.

    Args:
        bucket: That is there.
        prefix: What the names of the objects begin with; may be empty.

    Raises:
        InvalidInputError: The extra `s3` is not installed, or the environment is not usable.
    """

    max_bytes: int | None = None
    incoming: Path | None = None

    def __init__(self, bucket: str, prefix: str = "") -> None:
        self.location = f"s3://{bucket}" + (f"/{prefix}" if prefix else "")
        try:
            import obstore  # noqa: PLC0415 - of an extra
            from obstore.store import S3Store  # noqa: PLC0415 - as above
        except ImportError:
            msg = "HPSEARCH_CONTENT=s3://… needs the extra s3: pip install 'hpsearch[server,s3]'"
            raise InvalidInputError(msg, code="settings.invalid") from None
        self._api = obstore
        endpoint = next((value for name in _ENDPOINTS if (value := os.environ.get(name))), "")
        try:
            self._bucket: S3Store = S3Store(
                bucket,
                prefix=prefix or None,
                client_options={
                    "timeout": _TIMEOUT,
                    "connect_timeout": _CONNECT_TIMEOUT,
                    # An endpoint without TLS is meant so.
                    "allow_http": endpoint.startswith("http://"),
                },
                retry_config={"max_retries": _N_RETRIES, "retry_timeout": _TIMEOUT},
            )
        except obstore.exceptions.BaseError as error:
            msg = f"the content store {self.location} can not be used: {_sentence(error)}"
            raise InvalidInputError(msg, code="settings.invalid") from None

    def put(self, name: str, path: Path) -> None:
        """Send the bytes of a file, in parts if it is large."""
        with path.open("rb") as file, self._asking(needs_bucket=True):
            self._api.put(self._bucket, checked(name), file, max_concurrency=_N_PARTS)

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the content in pieces of some mebibytes."""
        size_bytes = self._size(name)
        if size_bytes is None:
            raise missing(name)
        for start in range(0, size_bytes, _RANGE_BYTES):
            length = min(_RANGE_BYTES, size_bytes - start)
            try:
                with self._asking():
                    piece = self._api.get_range(self._bucket, name, start=start, length=length)
            except FileNotFoundError:
                raise missing(name) from None
            yield bytes(piece)

    def path_of(self, name: str) -> None:
        """Return None: there is no file."""
        checked(name)

    def holds(self, name: str) -> bool:
        """Return whether there is a content of that name."""
        return self._size(name) is not None

    def delete(self, name: str) -> None:
        """Remove a content; nothing happens when there is none."""
        try:
            with self._asking():
                self._api.delete(self._bucket, checked(name))
        except FileNotFoundError:
            pass

    def names(self) -> Iterator[str]:
        """Yield the names of all contents."""
        pages = iter(self._api.list(self._bucket, chunk_size=1000))
        while True:
            with self._asking(needs_bucket=True):
                page = next(pages, None)
            if page is None:
                return
            yield from (entry["path"] for entry in page if is_name(entry["path"]))

    def owner(self) -> str | None:
        """Return the id of whom the prefix belongs to; None before there was one."""
        try:
            with self._asking():
                return bytes(self._api.get(self._bucket, _OWNER).bytes()).decode().strip() or None
        except FileNotFoundError:
            return None

    def set_owner(self, uid: str) -> None:
        """Note the id of whom the prefix belongs to."""
        with self._asking(needs_bucket=True):
            self._api.put(self._bucket, _OWNER, uid.encode())

    def _size(self, name: str) -> int | None:
        try:
            with self._asking():
                return int(self._api.head(self._bucket, checked(name))["size"])
        except FileNotFoundError:
            return None

    @contextmanager
    def _asking(self, *, needs_bucket: bool = False) -> Iterator[None]:
        """Turn a failure of the service into UnavailableError; its own words may hold addresses, but no keys.

        Args:
            needs_bucket: Whether FileNotFoundError, which is otherwise raised, can only mean that there is no bucket.
        """
        try:
            yield
        except FileNotFoundError as error:
            if not needs_bucket:
                raise
            msg = f"the content store {self.location} does not answer as expected: there is no such bucket"
            raise UnavailableError(msg, code="content.unavailable") from error
        except self._api.exceptions.BaseError as error:
            msg = f"the content store {self.location} does not answer as expected: {_sentence(error)}"
            raise UnavailableError(msg, code="content.unavailable") from error


def _sentence(error: Exception) -> str:
    """Return the first line of what obstore says, without its debugging appendix."""
    return str(error).strip().splitlines()[0][:300]
