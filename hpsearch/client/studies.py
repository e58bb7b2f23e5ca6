"""Studies over HTTP: create, read and steer them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpsearch.client.checked import checked
from hpsearch.client.connection import Connection
from hpsearch.client.lookup import StudyRef, is_id, named_study
from hpsearch.client.paging import walk
from hpsearch.client.results import Results
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Params, Trial
from hpsearch.wire.pages import Page, StudyView
from hpsearch.wire.studies import (
    CloneRequest,
    EnqueueRequest,
    ExtendRequest,
    PreviewReply,
    RetryFailedReply,
    StudyPatch,
    ValidateReply,
)

# A definition as checked here, or as plain JSON values for the server to check.
Definition = StudyDefinition | Mapping[str, Any]


@checked
class Studies(Results):
    """The studies of a server, and their results.

    A study is given by its name (the newest of that name), its id or the start of one, or as the server showed it.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)

    def create(self, definition: Definition, *, idempotency_key: str | None = None) -> StudyView:
        """Return the study made from a definition.

        Args:
            definition: What to search.
            idempotency_key: The same key with the same definition makes one study only, however often it is sent.

        Raises:
            InvalidStudyError: The definition can not work; the message says what to change.
        """
        return self._connection.call(
            StudyView,
            "POST",
            "/v1/studies",
            body=definition,
            headers=_key(idempotency_key),
            repeatable=idempotency_key is not None,
        )

    def validate(self, definition: Definition) -> ValidateReply:
        """Return whether a definition would be accepted, with errors and warnings; nothing is made."""
        return self._connection.call(ValidateReply, "POST", "/v1/studies/validate", body=definition, repeatable=True)

    def preview(self, definition: Definition) -> PreviewReply:
        """Return what a study would do: grid size, sample configurations, weights, cost; nothing is made."""
        return self._connection.call(PreviewReply, "POST", "/v1/studies/preview", body=definition, repeatable=True)

    def list(
        self,
        *,
        limit: int | None = None,
        page_token: str | None = None,
        state: str | None = None,
        name: str | None = None,
        label: str | None = None,
    ) -> Page[StudyView]:
        """Return a page of the studies, newest first, of one state, name or label (`key` or `key=value`) if given."""
        params = {"limit": limit, "page_token": page_token, "state": state, "name": name, "label": label}
        return self._connection.call(Page[StudyView], "GET", "/v1/studies", params=params)

    def all(
        self, *, state: str | None = None, name: str | None = None, label: str | None = None
    ) -> Iterator[StudyView]:
        """Iterate over all studies, page by page."""
        return walk(lambda token: self.list(page_token=token, state=state, name=name, label=label))

    def get(self, study: StudyRef) -> StudyView:
        """Return one study: definition, state, counts, best trial, budget used."""
        if isinstance(study, str) and not is_id(study):
            return named_study(self._connection, study)
        return self._connection.call(StudyView, "GET", self._path(study))

    def patch(self, study: StudyRef, patch: StudyPatch) -> StudyView:
        """Change name, priority, notes or labels; what the patch leaves out stays."""
        return self._connection.call(StudyView, "PATCH", self._path(study), body=patch)

    def delete(self, study: StudyRef) -> None:
        """Delete a study with its trials and models."""
        self._connection.send("DELETE", self._path(study))

    def pause(self, study: StudyRef) -> StudyView:
        """Start no new trials; running ones go on."""
        return self._steer(study, "pause")

    def resume(self, study: StudyRef) -> StudyView:
        """Go on after a pause."""
        return self._steer(study, "resume")

    def stop(self, study: StudyRef) -> StudyView:
        """Start no new trials, let running ones end, then finish."""
        return self._steer(study, "stop")

    def cancel(self, study: StudyRef) -> StudyView:
        """End the study and its running trials now."""
        return self._steer(study, "cancel")

    def extend(self, study: StudyRef, max_trials: int) -> StudyView:
        """Raise the total of finished search trials to `max_trials`, running or ended."""
        body = ExtendRequest(max_trials=max_trials)
        return self._connection.call(StudyView, "POST", self._path(study, "extend"), body=body, repeatable=True)

    def retry_failed(self, study: StudyRef) -> RetryFailedReply:
        """Put every failed trial back and return how many."""
        return self._connection.call(RetryFailedReply, "POST", self._path(study, "retry-failed"))

    def clone(self, study: StudyRef, *, name: str | None = None) -> StudyView:
        """Return a new study with the same definition."""
        body = CloneRequest(name=name) if name is not None else CloneRequest()
        return self._connection.call(StudyView, "POST", self._path(study, "clone"), body=body)

    def enqueue(self, study: StudyRef, params: Params, *, idempotency_key: str | None = None) -> Trial:
        """Return the trial made from a point to try next; it counts as a search trial.

        Raises:
            InvalidStudyError: The point is not of the study's space, or has more weights than it allows.
        """
        return self._connection.call(
            Trial,
            "POST",
            self._path(study, "trials"),
            body=EnqueueRequest(params=params),
            headers=_key(idempotency_key),
            repeatable=idempotency_key is not None,
        )

    def _steer(self, study: StudyRef, verb: str) -> StudyView:
        return self._connection.call(StudyView, "POST", self._path(study, verb), repeatable=True)


def _key(idempotency_key: str | None) -> dict[str, str]:
    return {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
