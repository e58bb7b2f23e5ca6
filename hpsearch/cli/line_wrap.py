"""Line wrapping for the terminal: between words, a number never apart from its unit."""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len

# Stands for a space that is no place to break a line; of no use in a text, and as wide.
_GLUE: Final = "\ue000"
# `3 s`, `61.6 kB`, `95 %`; and `1 m 13 s` as a whole.
_UNIT: Final = re.compile(r"(?<=\d) (?=(?:s|m|h|d|B|kB|MB|GB|TB|%)(?!\w))")
_AND_MORE: Final = re.compile(r"(?<=\d\ue000[mhd]) (?=\d)")
_WORD: Final = re.compile(r" *[^ ]+")
# A label, and what is said about it two or more spaces further: there the next line goes on.
_LABEL: Final = re.compile(r"[^ ]+ {2,}| {2,}[^ ]+(?: [^ ]+)? {2,}")
_MAX_LABEL: Final = 24


def flowed(text: str, width: int) -> str:
    """Return a text in lines of at most so many characters, but for words that are longer: an address stays whole."""
    return "\n".join(_flowed(line, width) for line in text.split("\n"))


def _flowed(line: str, width: int) -> str:
    if cell_len(line) <= width:
        return line
    label = _LABEL.match(line)
    hang = label.end() if label and label.end() <= _MAX_LABEL else len(line) - len(line.lstrip(" "))
    lines = [""]
    for word in _WORD.findall(_AND_MORE.sub(_GLUE, _UNIT.sub(_GLUE, line))):
        if lines[-1] and cell_len(lines[-1] + word) > width and len(lines[-1]) > hang:
            lines.append(" " * hang + word.lstrip(" "))
        else:
            lines[-1] += word
    return "\n".join(lines).replace(_GLUE, " ")
