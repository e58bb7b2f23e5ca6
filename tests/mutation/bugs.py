"""The eleven bugs: what a plausible engineer would have got wrong, as edits of the present code.

An edit names text that stands exactly once in its file. When the code has changed so that it does not, the bug can no
longer be planted, and that is an error: the edit must follow the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


class StaleEditError(Exception):
    """An edit does not fit the code any more."""


@dataclass(frozen=True)
class Edit:
    """A replacement in one file.

    Attributes:
        path: Below the root of the checkout.
        old: What stands there exactly once.
        new: What is to stand there.
    """

    path: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Change the file below another root.

        Raises:
            StaleEditError: The text does not stand there exactly once; nothing is changed.
        """
        file = root / self.path
        text = file.read_text(encoding="utf-8")
        if text.count(self.old) != 1:
            msg = f"{self.path} holds {text.count(self.old)} times, not once: {self.old.strip().splitlines()[0]!r}"
            raise StaleEditError(msg)
        file.write_text(text.replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Bug:
    """One planted bug.

    Attributes:
        name: What is wrong, in words.
        edits: How the code gets wrong.
    """

    name: str
    edits: tuple[Edit, ...]

    def plant(self, root: Path) -> None:
        """Plant the bug in a copy of the code.

        Raises:
            StaleEditError: An edit does not fit the code any more.
        """
        for edit in self.edits:
            edit.apply(root)


_REPORTS: Final = "hpsearch/service/queue/reports.py"
_OUTCOMES: Final = "hpsearch/service/queue/attempt_end.py"
_STUDIES: Final = "hpsearch/storage/studies.py"

BUGS: Final[tuple[Bug, ...]] = (
    Bug(
        "completion guarded by state only",
        (
            Edit(
                _REPORTS,
                "    current = entry.attempt == trial.attempt\n",
                "    if entry.outcome is not None and trial.state == TrialState.RUNNING:\n"
                "        return None\n"
                "    current = entry.attempt == trial.attempt\n",
            ),
            Edit(_REPORTS, "    if not renewed:\n", "    if not renewed and entry.outcome is None:\n"),
        ),
    ),
    Bug(
        "no study lock",
        (
            Edit(
                _STUDIES,
                '.where(study.c.id == bindparam("wanted")).with_for_update(key_share=True)',
                '.where(study.c.id == bindparam("wanted"))',
            ),
            Edit(
                _STUDIES,
                '.where(study.c.uid == bindparam("wanted")).with_for_update(key_share=True)',
                '.where(study.c.uid == bindparam("wanted"))',
            ),
        ),
    ),
    Bug(
        "retry makes a new row",
        (
            Edit(
                _OUTCOMES,
                "        wait_s = blame.pause_s(ctx, lost)",
                "        from hpsearch.service.queue import trial_rows\n\n"
                "        done = _cancel(tx, study, trial, outcome)\n"
                "        again = tx.trials.by_id(trial.id)\n"
                "        twin = trial_rows.NewTrial(again.params, again.kind, seed=again.seed)\n"
                "        if done:\n"
                "            trial_rows.insert(tx, study, [twin])\n"
                "        return done\n"
                "        wait_s = blame.pause_s(ctx, lost)",
            ),
        ),
    ),
    Bug(
        "answer before commit",
        (
            Edit(
                "hpsearch/storage/store.py",
                "            with as_unavailable(), self._begin() as connection:\n"
                "                yield self._transaction(connection)\n",
                "            with as_unavailable():\n"
                "                import sys, threading\n\n"
                "                writer = self._begin()\n"
                "                connection = writer.__enter__()\n"
                "                try:\n"
                "                    yield self._transaction(connection)\n"
                "                except BaseException:\n"
                "                    writer.__exit__(*sys.exc_info())\n"
                "                    raise\n"
                "                threading.Timer(0.05, writer.__exit__, (None, None, None)).start()\n",
            ),
        ),
    ),
    Bug(
        "reaper without attempt check",
        (
            Edit(
                "hpsearch/service/queue/reaper.py",
                "                if not tx.queue.still_lapsed(trial.id, trial.attempt):\n"
                "                    continue\n",
                "                trial = tx.queue.look_up([trial.uid], lock=True)[trial.uid]\n",
            ),
        ),
    ),
    Bug(
        "deferred BEGIN on SQLite",
        (
            Edit(
                "hpsearch/storage/dialects/sqlite.py",
                'size=1, begin="BEGIN IMMEDIATE"',
                'size=1, begin="BEGIN DEFERRED"',
            ),
        ),
    ),
    Bug(
        "NaN retried as a loss of infrastructure",
        (
            Edit(
                _OUTCOMES,
                '    if meant == "FAILED" and outcome.cause in INFRASTRUCTURE:\n',
                '    if outcome.cause in INFRASTRUCTURE | {"diverged"}:\n',
            ),
        ),
    ),
    Bug(
        "unique grid index dropped",
        (
            Edit("hpsearch/storage/tables.py", '    UniqueConstraint("study_id", "grid_index"),\n', ""),
            Edit(
                "migrations/versions/0001_the_first_schema.py",
                '        sa.UniqueConstraint("study_id", "grid_index", name=op.f("uq_trial_study_id_grid_index")),\n',
                "",
            ),
        ),
    ),
    Bug(
        "report without attempt",
        (Edit(_REPORTS, "    current = entry.attempt == trial.attempt\n", "    current = True\n"),),
    ),
    Bug(
        "reaper only when a worker calls",
        (
            Edit(
                "hpsearch/service/operations/maintenance.py",
                '            ("reaper", self._reap, self._ctx.settings.reaper_s),\n',
                "",
            ),
            Edit(
                "hpsearch/service/queue/claims.py",
                "    if ctx.signals.n_wanted() and _nothing_to_give(",
                "    from hpsearch.service.queue.reaper import reap\n\n"
                "    reap(ctx)\n"
                "    if ctx.signals.n_wanted() and _nothing_to_give(",
            ),
        ),
    ),
    Bug(
        "no outage compensation",
        (
            Edit(
                "hpsearch/service/operations/maintenance.py",
                "            if silence is not None and abs(silence) > self._max_silence_s:\n                n =",
                "            if silence is not None and abs(silence) < 0:\n                n =",
            ),
        ),
    ),
)
