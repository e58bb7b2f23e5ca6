"""Result: one ranked trial, with its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.client.checked import checked
from hpsearch.client.objects.markup import cell
from hpsearch.client.objects.model import Model, downloaded
from hpsearch.domain.trial import Params
from hpsearch.wire.pages import LeaderboardRow

if TYPE_CHECKING:
    from hpsearch.client.client import Client


@checked
class Result:
    """One ranked trial of a study.

    Attributes:
        row: As on the leaderboard.
        metric: What `value` is, of the validation rows.
    """

    def __init__(self, client: Client, study_name: str, row: LeaderboardRow, metric: str) -> None:
        self.row = row
        self.metric = metric
        self._client = client
        self._study_name = study_name

    @property
    def trial_id(self) -> str:
        """Of the trial."""
        return self.row.trial_id

    @property
    def number(self) -> int:
        """Of the trial in its study."""
        return self.row.number

    @property
    def params(self) -> Params:
        """Values by name."""
        return self.row.params

    @property
    def value(self) -> float:
        """The objective at the best epoch. It was chosen for this value: expect a little less on new rows."""
        return self.row.value

    def model(self) -> Model:
        """Return the trial's own model, loaded.

        Raises:
            NotFoundError: The study has not kept it; it keeps those of its best trials.
        """
        return downloaded(lambda path: self._client.trials.download_model(self.trial_id, path))

    def download(self, path: str | Path = "best.keras") -> Path:
        """Write the trial's own model to a `.keras` file, and return its path."""
        target = Path(path).expanduser()
        self._client.trials.download_model(self.trial_id, target)
        return target

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={cell(value)}" for name, value in self.params.items())
        return f"<Trial {self.number} of {self._study_name!r}: {self.metric} {cell(self.value)}, {params}>"
