"""Thrift's compact protocol, read and written whole: enough to forge the metadata of a Parquet file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)


@dataclass
class Struct:
    """Fields by id, each with its type."""

    fields: dict[int, tuple[int, Any]] = field(default_factory=dict)

    def __getitem__(self, number: int) -> Any:
        return self.fields[number][1]

    def __setitem__(self, number: int, value: Any) -> None:
        self.fields[number] = (self.fields[number][0], value)


class Reader:
    """Reads from a place in bytes."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data, self.place = data, place

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.place]
            self.place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def zigzag(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return kind
        if kind in (I16, I32, I64):
            return self.zigzag()
        if kind == STRUCT:
            return self.struct()
        if kind in (LIST, SET):
            head = self.data[self.place]
            self.place += 1
            n, of = head >> 4, head & 15
            n = self.varint() if n == 15 else n
            return of, [self.value(of) if of > FALSE else self.raw(1) for _ in range(n)]
        return self.raw({BYTE: 1, DOUBLE: 8}.get(kind) or self.varint())

    def raw(self, n: int) -> bytes:
        self.place += n
        return self.data[self.place - n : self.place]

    def struct(self) -> Struct:
        made, number = Struct(), 0
        while head := self.value(BYTE)[0]:
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else self.zigzag()
            made.fields[number] = (kind, self.value(kind))
        return made


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def encoded(kind: int, value: Any) -> bytes:
    if kind in (TRUE, FALSE):
        return b""
    if kind in (I16, I32, I64):
        return varint(value << 1 if value >= 0 else ((-value) << 1) - 1)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind in (LIST, SET):
        of, items = value
        head = bytes([len(items) << 4 | of]) if len(items) < 15 else bytes([0xF0 | of]) + varint(len(items))
        return head + b"".join(item if of <= FALSE else encoded(of, item) for item in items)
    if kind == STRUCT:
        out, last = bytearray(), 0
        for number, (of, item) in value.fields.items():
            delta = number - last
            out += bytes([delta << 4 | of]) if 0 < delta < 16 else bytes([of]) + encoded(I16, number)
            out += encoded(of, item)
            last = number
        return bytes(out) + b"\x00"
    return bytes(value)
