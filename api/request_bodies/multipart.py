"""Multipart forms with one file: the file is streamed to disk, everything else is small and has a size limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.errors.problem_documents import ProblemError
from api.request_bodies.uploads import pieces

_MAX_PARTS: Final = 8
_MAX_FIELD_BYTES: Final = 4096
# Room for boundaries, part headers and fields beside the file itself.
OVERHEAD_BYTES: Final = 64 * 1024
_FILE: Final = "file"
_UNREADABLE: Final = "a part or its headers can not be read"
_CUT_OFF: Final = "it ends before its last boundary"
_NAMELESS: Final = "a part has no name"
_LONG_BOUNDARY: Final = "its boundary is too long"


class UploadForm:
    """A form being received.

    Args:
        boundary: Between the parts.
        path: New file for the content of the part `file`.
        fields: Names of the text fields that are known.

    Attributes:
        texts: Text fields received, by name.
        filename: As the client calls the file; only good for showing. None before the file came.
    """

    def __init__(self, boundary: bytes, path: Path, fields: frozenset[str]) -> None:
        self.texts: dict[str, str] = {}
        self.filename: str | None = None
        self._path, self._known = path, fields
        self._file: IO[bytes] | None = None
        self._n_parts = 0
        self._name = ""
        self._text = bytearray()
        self._header = (bytearray(), bytearray())
        self._disposition: bytes | None = None
        self._ended = False
        callbacks: dict[str, Callable[..., Any]] = {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers_finished,
            "on_part_data": self._on_part_data,
            "on_part_end": self._on_part_end,
            "on_end": self._on_end,
        }
        self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            ProblemError: 400 for a malformed form, 413 above a cap, 422 for an unknown or repeated field.
        """
        try:
            self._parser.write(data)
        except FormParserError:
            raise _malformed(_UNREADABLE) from None

    def finish(self) -> None:
        """Check that the form came whole.

        Raises:
            ProblemError: 400 when it was cut off, 422 when it holds no file.
        """
        self.close()
        if not self._ended:
            raise _malformed(_CUT_OFF)
        if self.filename is None:
            raise _field(_FILE, "is missing: send the data file as a form part named file")

    def close(self) -> None:
        """Close the file, if it is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _on_part_begin(self) -> None:
        self._n_parts += 1
        if self._n_parts > _MAX_PARTS:
            raise ProblemError(413, "form.too_large", f"the form has more than {_MAX_PARTS} parts")
        self._disposition = None
        self._text.clear()

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _on_header_end(self) -> None:
        if bytes(self._header[0]).lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise _malformed(_NAMELESS)
        self._name = options[b"name"].decode("utf-8", "replace")[:200]
        if self._name == _FILE:
            if self.filename is not None:
                raise _field(_FILE, "was received twice; send one data file")
            self.filename = options.get(b"filename", b"").decode("utf-8", "replace")
            self._file = self._path.open("xb")
        elif self._name not in self._known:
            known = ", ".join(sorted({_FILE, *self._known}))
            raise _field(self._name, f"is not a known part; known are {known}")
        elif self._name in self.texts:
            raise _field(self._name, "was received twice")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(memoryview(data)[start:end])
            return
        self._text.extend(data[start:end])
        if len(self._text) > _MAX_FIELD_BYTES:
            raise ProblemError(
                413, "form.too_large", f"the form part {self._name} is larger than {_MAX_FIELD_BYTES} bytes"
            )

    def _on_part_end(self) -> None:
        if self._file is not None:
            self.close()
            return
        try:
            self.texts[self._name] = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise _field(self._name, "is not UTF-8") from None

    def _on_end(self) -> None:
        self._ended = True


async def receive_form(request: Request, path: Path, *, fields: frozenset[str]) -> UploadForm:
    """Return the form of a request, its file written to ``path``.

    Args:
        request: Its body has not been read.
        path: A new file; the caller deletes it.
        fields: Names of the text fields that are known.

    Raises:
        ProblemError: 415 for another content type, those of `UploadForm` and of `api.request_bodies.uploads.pieces`.
        ClientDisconnect: It was cut off.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        detail = "expected the content type multipart/form-data with a boundary, with the data as its part named file"
        raise ProblemError(415, "body.unsupported_type", detail)
    try:
        form = UploadForm(boundary, path, fields)
    except FormParserError:
        raise _malformed(_LONG_BOUNDARY) from None
    try:
        async for piece in pieces(request):
            await run_in_threadpool(form.feed, piece)
        await run_in_threadpool(form.finish)
    finally:
        form.close()
    return form


def _malformed(reason: str) -> ProblemError:
    return ProblemError(400, "form.malformed", f"the multipart form is malformed: {reason}")


def _field(name: str, message: str) -> ProblemError:
    return ProblemError(422, "form.invalid", f"{name} {message}", errors=[{"field": name, "message": message}])
