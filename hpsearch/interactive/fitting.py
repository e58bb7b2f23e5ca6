"""fit: a data frame in, a fitted model out, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from hpsearch.client.checked import checked, checked_call
from hpsearch.client.client import Client
from hpsearch.client.continuing import create, same_study
from hpsearch.client.objects.model import Model
from hpsearch.client.objects.study import Study
from hpsearch.domain.dataset import Dataset
from hpsearch.domain.lifecycle import StudyState
from hpsearch.domain.proposing import propose
from hpsearch.domain.study import StudyDefinition
from hpsearch.errors import HpsearchError, InvalidStudyError
from hpsearch.interactive import starting
from hpsearch.settings import Settings
from hpsearch.studyfile.validation_messages import sentence, validation_messages

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_KEPT: Final = "Interrupted. Everything is kept: call hpsearch.fit again with the same data and arguments to continue."


@checked
class Fitted:
    """What `fit` returns: the study, and the model it hands out.

    Attributes:
        study: With its leaderboard, plots and trials.
        model: Takes the rows it was trained on.
    """

    def __init__(self, study: Study, model: Model) -> None:
        self.study = study
        self.model = model

    @property
    def classes(self) -> tuple[str | int | bool, ...]:
        """The labels `predict` gives; empty for regression."""
        return self.model.classes

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """Return the likeliest label of each row, or the predicted number; see `Model.predict`."""
        return self.model.predict(rows)

    def predict_proba(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each class for each row; see `Model.predict_proba`."""
        return self.model.predict_proba(rows)

    def save(self, path: str | Path = "best.keras") -> Path:
        """Write the model's `.keras` file, and return its path."""
        return self.model.save(path)

    def __repr__(self) -> str:
        return f"<Fitted {self.model!r} by {self.study!r}>"

    def _repr_html_(self) -> str:
        return self.study._repr_html_()


@checked_call
def fit(  # noqa: PLR0913 - all but the data have a default
    data: Any,
    y: Any = None,
    *,
    target: str | None = None,
    max_trials: int = 50,
    name: str | None = None,
    space: Mapping[str, Any] | None = None,
    metric: str | None = None,
    new: bool = False,
    progress: bool = True,
    workers: int | None = None,
    data_dir: str | Path | None = None,
    client: Client | None = None,
    **fields: Any,
) -> Fitted:
    """Return the best model a search finds for some rows.

    A local server and a worker are started if none runs, as `start` does. Called again with the same data and
    arguments, it goes on where it was, or returns at once what it found. Interrupting it (Ctrl-C) ends what it has
    started and keeps everything.

    Args:
        data: Rows as `client.datasets.upload` takes them, or a data set that was uploaded before.
        y: The value to predict for each row, when `data` does not hold it.
        target: Column of `data` to predict.
        max_trials: Finished search trials.
        name: Of the study; that of the data set when left out.
        space: What to search; one that suits the number of rows and columns when left out.
        metric: What to improve; what suits the target when left out.
        new: Search again even if this study is there already.
        progress: Show a bar.
        workers: As for `start`.
        data_dir: Of the local server, as for `start`.
        client: Of another server, whose workers do the search; then nothing is started.
        fields: Of the definition, such as `training`, `algorithm`, `split` and `confirm`.

    Raises:
        InvalidStudyError: The study can not work; the message says what to change.
        InvalidInputError: The data can not be used.
        HpsearchError: With code `study.no_result`: the study ended without a model.
    """
    folder = Settings.load(data_dir=data_dir).data_dir
    at = client or starting.start(workers=workers, data_dir=data_dir)
    try:
        label = None if isinstance(data, str | Path) else name
        dataset = data if isinstance(data, Dataset) else at.datasets.upload(data, y, name=label, target=target)
        definition = _definition(at, dataset, name, max_trials, space, metric, fields)
        study = _continued(at, definition, new=new)
        if client is None:
            study.tend_with(lambda: starting.check(folder))
        study.wait(progress=progress)
    except KeyboardInterrupt:
        if client is None:
            starting.stop(data_dir=folder)
            starting.notify(_KEPT)
        raise
    if study.view.final is None:
        why = study.view.note_to_user or f"it is {study.state.lower()} ({study.view.end_reason})"
        msg = f"study {study.name!r} ended without a model: {why}"
        raise HpsearchError(msg, code="study.no_result")
    return Fitted(study, study.model())


def _definition(
    client: Client,
    dataset: Dataset,
    name: str | None,
    max_trials: int,
    space: Mapping[str, Any] | None,
    metric: str | None,
    fields: Mapping[str, Any],
) -> StudyDefinition:
    profile = client.datasets.profile(dataset.dataset_id)
    proposed = propose(profile, {"id": dataset.dataset_id}, name=name or dataset.name).definition
    given: dict[str, Any] = {"budget": {"max_trials": int(max_trials)}}
    if space is not None:
        given["space"] = dict(space)
    if metric is not None:
        given["objective"] = {"metric": metric}
    wanted = proposed | given | dict(fields)
    try:
        return StudyDefinition.model_validate(wanted)
    except ValidationError as error:
        found = validation_messages(error.errors(include_url=False), wanted, StudyDefinition)
        raise InvalidStudyError(
            "; ".join(sentence(one.field, one.message, whole="the study") for one in found)
        ) from None


def _continued(client: Client, definition: StudyDefinition, *, new: bool) -> Study:
    found = None if new else same_study(client, definition)
    if found is None:
        found = create(client, definition)
    elif found.state == StudyState.PAUSED:
        found = client.studies.resume(found.study_id)
    return Study(client, found)
