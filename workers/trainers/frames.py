"""Length-prefixed JSON frames over a pipe, between a supervisor and its trainer processes.

Each frame is four bytes of length, big-endian, and that many bytes of UTF-8 JSON. The pipes are descriptors of their
own, so that nothing TensorFlow prints can get between.
"""

from __future__ import annotations

import struct
from io import RawIOBase
from typing import Final

_HEADER: Final = struct.Struct(">I")
MAX_FRAME_BYTES: Final = 64 * 2**20


def write_frame(pipe: RawIOBase, payload: bytes) -> None:
    """Write one frame, whole.

    Raises:
        OSError: The other side is gone.
        ValueError: The payload is too long.
    """
    if len(payload) > MAX_FRAME_BYTES:
        msg = f"a frame holds at most {MAX_FRAME_BYTES} bytes, received {len(payload)}"
        raise ValueError(msg)
    left = memoryview(_HEADER.pack(len(payload)) + payload)
    while left:
        left = left[pipe.write(left) or 0 :]


def read_frame(pipe: RawIOBase) -> bytes | None:
    """Return the next payload, or None when the other side has closed the pipe, even in the midst of a frame.

    Raises:
        ValueError: What arrives is not a frame.
    """
    header = _exactly(pipe, _HEADER.size)
    if header is None:
        return None
    (size,) = _HEADER.unpack(header)
    if size > MAX_FRAME_BYTES:
        msg = f"a frame holds at most {MAX_FRAME_BYTES} bytes, received a header of {size}"
        raise ValueError(msg)
    return _exactly(pipe, size)


def _exactly(pipe: RawIOBase, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = pipe.read(size - len(parts))
        if not part:
            return None
        parts += part
    return bytes(parts)
