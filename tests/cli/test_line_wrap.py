"""Sentences in a narrow terminal, and what a person sees in a real one."""

from __future__ import annotations

import os
import pty
import re
import sys
from pathlib import Path

import pytest

from hpsearch.cli.line_wrap import flowed
from tests.cli.conftest import STUDY_ID, TOKEN, FakeServer, board, page, row, study


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("short", 80, ["short"]),
        ("it took 1 m 13 s of device time", 15, ["it took", "1 m 13 s of", "device time"]),
        ("one see  hpsearch run  or", 18, ["one see  hpsearch", "run  or"]),
        ("size        4,693 weights, seed 19", 30, ["size        4,693 weights,", "            seed 19"]),
        ("  a b c", 5, ["  a b", "  c"]),
        ("at http://127.0.0.1:8000/ui/studies/1", 10, ["at", "http://127.0.0.1:8000/ui/studies/1"]),
        ("61.6 kB and 95 % of 3 trials", 9, ["61.6 kB", "and 95 %", "of 3", "trials"]),
        ("one\ntwo three", 5, ["one", "two", "three"]),
    ],
)
def test_lines_are_broken_between_words_and_no_number_from_its_unit(text: str, width: int, lines: list[str]):
    assert flowed(text, width).split("\n") == lines


def in_terminal(columns: int, *arguments: str, **environment: str) -> list[str]:
    """What a command prints in a terminal of so many columns."""
    pid, terminal = pty.fork()
    if pid == 0:
        # Given, not inherited: readline sets COLUMNS behind Python's back.
        given = {
            **{name: value for name, value in os.environ.items() if name != "COLUMNS"},
            **environment,
            "TERM": "xterm",
            "NO_COLOR": "1",
        }
        code = (
            "import fcntl, struct, sys, termios\n"
            f"fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 40, {columns}, 0, 0))\n"
            "from hpsearch.cli.main import main; main(sys.argv[1:])"
        )
        os.execve(sys.executable, [sys.executable, "-c", code, *arguments], given)  # noqa: S606 - no shell is wanted
    shown = b""
    try:
        while chunk := os.read(terminal, 65536):
            shown += chunk
    except OSError:  # Linux says so when the other end is closed
        pass
    os.waitpid(pid, 0)
    os.close(terminal)
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m|\r", "", shown.decode()).split("\n")]


@pytest.mark.parametrize("columns", [40, 140])
def test_a_leaderboard_fits_a_real_terminal(fake: FakeServer, tmp_path: Path, columns: int):
    space = {"units_1": 128, "units_2": 64, "activation": "relu", "learning_rate": 0.00123, "dropout": 0.31}
    rows = [row(rank, params={name: value if rank == 1 else 1 for name, value in space.items()}) for rank in (1, 2)]
    fake.routes["GET", "/v1/studies"] = page(study())
    fake.routes["GET", f"/v1/studies/{STUDY_ID}/leaderboard"] = board(*rows)
    given = {"HPSEARCH_SERVER": fake.url, "HPSEARCH_TOKEN": TOKEN, "HPSEARCH_DATA_DIR": str(tmp_path)}
    lines = in_terminal(columns, "leaderboard", "digits", **given)
    assert [line for line in lines if len(line) > columns] == []
    said = " ".join(" ".join(lines).split())
    if columns == 40:
        assert "units=128-64 activation=relu learning_rate=0.00123 dropout=0.31" in said
    else:
        assert ["1", "3", "0.9900", "12", "5,000", "128-64", "relu", "0.00123", "0.31"] in [
            line.split() for line in lines
        ]
