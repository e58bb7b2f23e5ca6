"""The planted bugs still fit the code, and the quickest of them are seen; `make planted` looks at all eleven."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.bugs import BUGS, Bug, Edit, StaleEditError
from tests.mutation.field import ROOT, planted, prove

_OF: dict[str, str] = {
    "unique grid index dropped": "tests/queue_properties/test_promises.py"
    "::test_the_database_itself_refuses_twins[sqlite]",
    "deferred BEGIN on SQLite": "tests/queue_properties/test_promises.py"
    "::test_a_writer_has_the_sqlite_file_to_itself_from_its_first_word",
}


def test_there_are_eleven_and_each_can_be_planted(tmp_path: Path) -> None:
    assert len(BUGS) == 11
    for number, bug in enumerate(BUGS):
        root = tmp_path / str(number)
        for path in {edit.path for edit in bug.edits}:
            copy = root / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / path).read_bytes())
        bug.plant(root)
        for path in {edit.path for edit in bug.edits}:
            text = (root / path).read_text(encoding="utf-8")
            assert text != (ROOT / path).read_text(encoding="utf-8")
            compile(text, path, "exec")


def test_an_edit_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("one\ntwo\ntwo\n")
    for old in ("three\n", "two\n"):
        with pytest.raises(StaleEditError, match=r"code\.py holds [02] times, not once"):
            Edit("code.py", old, "").apply(tmp_path)
    assert (tmp_path / "code.py").read_text() == "one\ntwo\ntwo\n"


@pytest.mark.slow
@pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in _OF], ids=lambda bug: bug.name)
def test_the_quickest_are_seen(bug: Bug) -> None:
    with planted(bug) as root:
        finding = prove(root, [_OF[bug.name]], seed=0)
    assert finding.first == _OF[bug.name], finding.output
