"""Submits a checked study file: uploads its data, and continues the same study if it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hpsearch.cli.display.formatting import ago
from hpsearch.client import Client
from hpsearch.client.continuing import create, same_study
from hpsearch.client.lookup import SHOWN
from hpsearch.domain.lifecycle import STUDY_FINAL, StudyState
from hpsearch.domain.study import StudyDefinition
from hpsearch.studyfile.reader import StudyFile
from hpsearch.wire.pages import StudyView
from hpsearch.wording.figures import count


@dataclass(frozen=True)
class Submission:
    """A study on the server.

    Attributes:
        study: As it was found or made.
        is_new: Whether it was made now.
    """

    study: StudyView
    is_new: bool


def uploaded_definition(client: Client, file: StudyFile, notify: Callable[[str], None]) -> StudyDefinition:
    """Return the definition with its data on the server; the same file, name and target twice are one data set.

    Raises:
        HpsearchError: The server can not use the data.
    """
    if file.upload is None:
        return file.definition()
    notify(f"Uploading {file.upload.path.name} …")
    dataset = client.datasets.upload(file.upload.path, name=file.upload.name, target=file.upload.target)
    return file.definition(dataset.dataset_id)


def continue_or_create(
    client: Client, definition: StudyDefinition, notify: Callable[[str], None], *, always_new: bool
) -> Submission:
    """Return the study of this definition: the one that is there, resumed if it was paused, or a new one.

    Args:
        client: Of the server.
        definition: With its data on the server.
        notify: Takes one line for the user.
        always_new: Make a new study whatever is there.

    Raises:
        HpsearchError: The server refuses.
    """
    found = None if always_new else same_study(client, definition)
    if found is None:
        study = create(client, definition)
        notify(f"Study {study.name!r} ({study.study_id[:SHOWN]}) is submitted.")
        return Submission(study, is_new=True)
    label = f"Study {found.name!r} ({found.study_id[:SHOWN]})"
    if found.state in STUDY_FINAL:
        when = f", {ago(found.ended_at)}" if found.ended_at is not None else ""
        notify(
            f"{label} with the same definition is complete ({count(found.n_trials, 'trial')}{when}); "
            "this is its result. --new searches again."
        )
        return Submission(found, is_new=False)
    done = f"{found.n_trials} of {found.budget.max_trials} trials done"
    if found.state == StudyState.PAUSED:
        found = client.studies.resume(found.study_id)
        notify(f"{label} was paused and goes on: {done}.")
    else:
        notify(f"{label} goes on where it was: {done}. --new starts another.")
    return Submission(found, is_new=False)
