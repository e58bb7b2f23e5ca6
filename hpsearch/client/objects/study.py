"""Study: one search as an object, to wait for, look at, take the model of, and steer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from hpsearch.client.checked import checked
from hpsearch.client.objects import waiting
from hpsearch.client.objects.markup import facts_html
from hpsearch.client.objects.model import Model, downloaded
from hpsearch.client.objects.plots import Plots
from hpsearch.client.objects.result import Result
from hpsearch.client.objects.tables import Leaderboard, Trials
from hpsearch.domain.lifecycle import STUDY_FINAL
from hpsearch.domain.strict import Scalar
from hpsearch.domain.trial import Trial
from hpsearch.errors import HpsearchError, NotFoundError
from hpsearch.wire.final_model import FinalModel
from hpsearch.wire.pages import StudyView
from hpsearch.wording.final_model import facts as final_facts

if TYPE_CHECKING:
    from optuna.study import Study as OptunaStudy

    from hpsearch.client.client import Client


@checked
class Study:
    """One study on a server; made by `Client.study` and `Client.create`.

    Attributes:
        client: Of its server.
        view: As the server showed it last: definition, counts, best trial, budget used. `refresh()` asks again.
    """

    DISPLAY_NAME = "a study"

    def __init__(self, client: Client, view: StudyView) -> None:
        self.view = view
        self.client = client
        # Looks after the local server and workers while one waits.
        self._tend: Callable[[], None] = lambda: None

    @property
    def study_id(self) -> str:
        """Its id."""
        return self.view.study_id

    @property
    def name(self) -> str:
        """What people call it."""
        return self.view.name

    @property
    def state(self) -> str:
        """RUNNING, PAUSED, STOPPING, COMPLETED, CANCELLED or FAILED, when it was asked last."""
        return self.view.state

    @property
    def has_ended(self) -> bool:
        """Whether it had ended when it was asked last."""
        return self.view.state in STUDY_FINAL

    def refresh(self) -> Self:
        """Ask the server how the study stands now, and return this study."""
        self.view = self.client.studies.get(self.study_id)
        return self

    def wait(self, *, progress: bool = True, timeout: float | None = None) -> Self:
        """Return this study when it has ended, whatever its end: see `state` and `view.end_reason`.

        A server that is restarted meanwhile is waited for. Interrupting it leaves the study as it is.

        Args:
            progress: Show a bar: in a terminal, or in the cell of a notebook.
            timeout: Seconds to wait at most; None for as long as it takes.

        Raises:
            TimeoutError: It has not ended in time; it goes on.
            UnavailableError: The server has been away for ten minutes.
        """
        with waiting.shown(progress=progress) as show:
            waiting.until_ended(self, self.client, show=show, tend=self._tend, timeout_s=timeout)
        return self

    def tend_with(self, tend: Callable[[], None]) -> None:
        """Have something called about every second while one waits; what it raises ends the waiting."""
        self._tend = tend

    def leaderboard(self, limit: int | None = None) -> Leaderboard:
        """Return the ranked trials, the best first.

        Args:
            limit: Rows at most; None for all.
        """
        if limit is not None:
            page = self.client.studies.leaderboard(self.study_id, limit=limit)
            rows = page.items
        else:
            rows = tuple(self.client.studies.leaderboard_rows(self.study_id, limit=500))
        resolved = self.view.resolved
        return Leaderboard(self.name, rows, metric=resolved.metric, direction=resolved.direction)

    def trials(self, *, state: str | None = None, kind: str | None = None) -> Trials:
        """Return the trials by number.

        Args:
            state: Only those in this state, such as COMPLETE or FAILED.
            kind: Only those of this kind: `search`, `baseline`, `confirmation` or `refit`.
        """
        found = self.client.studies.all_trials(
            self.study_id, state=state, kind=kind, sort="number", order="asc", limit=500
        )
        return Trials(self.name, found)

    @property
    def best(self) -> Result:
        """The best trial so far.

        Raises:
            NotFoundError: The study has no result yet.
        """
        self.refresh()
        if self.view.best is None:
            msg = f"study {self.name!r} has no result yet ({waiting.line(self.view)}); wait() for it"
            raise NotFoundError(msg, code="study.no_result")
        return Result(self.client, self.name, self.view.best, self.view.resolved.metric)

    @property
    def final(self) -> FinalModel | None:
        """The one model the study hands out and the figures to believe of it; None before the study has ended."""
        return (self if self.has_ended else self.refresh()).view.final

    def model(self) -> Model:
        """Return the model the study hands out, loaded: that of `final`, else of its best trial.

        Raises:
            NotFoundError: There is none yet.
        """
        return downloaded(lambda path: self.client.studies.download_model(self.study_id, path))

    def download(self, path: str | Path = "best.keras") -> Path:
        """Write the model the study hands out to a `.keras` file, and return its path.

        Raises:
            NotFoundError: There is none yet.
        """
        target = Path(path).expanduser()
        self.client.studies.download_model(self.study_id, target)
        return target

    def export(self, path: str | Path, *, format: Literal["csv", "parquet", "jsonl"] = "csv") -> Path:  # noqa: A002
        """Write all trials to a file, and return its path."""
        target = Path(path).expanduser()
        self.client.studies.export(self.study_id, target, format=format)
        return target

    def pause(self) -> Self:
        """Start no new trials; running ones go on."""
        return self._take(self.client.studies.pause(self.study_id))

    def resume(self) -> Self:
        """Go on after a pause."""
        return self._take(self.client.studies.resume(self.study_id))

    def stop(self) -> Self:
        """Start no new trials, let running ones end, then finish."""
        return self._take(self.client.studies.stop(self.study_id))

    def cancel(self) -> Self:
        """End the study and its running trials now."""
        return self._take(self.client.studies.cancel(self.study_id))

    def extend(self, max_trials: int) -> Self:
        """Raise the total of finished search trials to `max_trials`, running or ended."""
        return self._take(self.client.studies.extend(self.study_id, max_trials))

    def retry_failed(self) -> Self:
        """Put every failed trial back."""
        self.client.studies.retry_failed(self.study_id)
        return self.refresh()

    def enqueue(self, params: Mapping[str, Scalar]) -> Trial:
        """Return the trial made from a point to try next; it counts as a search trial."""
        return self.client.studies.enqueue(self.study_id, dict(params))

    def delete(self) -> None:
        """Delete the study with its trials and models."""
        self.client.studies.delete(self.study_id)

    def to_optuna(self, *, intermediate_values: bool = True) -> OptunaStudy:
        """Return an Optuna study in memory with all finished search trials; see `hpsearch.optuna.to_optuna`.

        Args:
            intermediate_values: Fetch the objective of every epoch, too, with a request for each trial.

        Raises:
            HpsearchError: Optuna is not installed; the message says how to install it.
        """
        try:
            from hpsearch.optuna import to_optuna
        except ModuleNotFoundError:
            msg = "to_optuna needs Optuna, which is not installed here: run  pip install 'hpsearch[optuna]'"
            raise HpsearchError(msg, code="install.missing_part") from None
        return to_optuna(self, intermediate_values=intermediate_values)

    @property
    def plot(self) -> Plots:
        """Plots of the study: `history()`, `curves()`, `importances()`, `parallel()`, `slice()`."""
        return Plots(self.client, self.study_id, self.name)

    def _take(self, view: StudyView) -> Self:
        self.view = view
        return self

    def __repr__(self) -> str:
        return f"<Study {self.name!r} ({self.study_id}): {waiting.line(self.view)}>"

    def _repr_html_(self) -> str:
        view = self.view
        best: Any = view.best
        facts: list[tuple[str, object]] = [
            ("state", view.state.lower() + (f" ({view.end_reason})" if view.end_reason else "")),
            ("trials", waiting.line(view)),
            (f"best {view.resolved.metric}", None if best is None else best.value),
            *((name, value) for name, value in (best.params if best else {}).items()),
            *((fact.label, fact.value) for fact in (final_facts(view.final) if view.final else ())),
        ]
        return facts_html(f"Study {view.name}", facts, done_fraction=waiting.done_fraction(view))
