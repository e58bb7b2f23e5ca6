"""ReadOnlyStorage: a server's studies as an Optuna storage, for Optuna's plots and optuna-dashboard."""

from __future__ import annotations

import copy
import threading
from collections.abc import Container
from typing import Any, Final

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from hpsearch.client.client import Client
from hpsearch.domain.lifecycle import FINAL
from hpsearch.domain.trial import Trial
from hpsearch.errors import NotFoundError
from hpsearch.optuna.distributions import distributions_of
from hpsearch.optuna.reading import curve_of, search_trials
from hpsearch.optuna.refusing import RefusesToWrite
from hpsearch.optuna.trials import frozen
from hpsearch.wire.pages import StudyView

# A trial's id holds its study's and its number; below 2^53, so that a browser reads it exactly.
_MAX_TRIALS: Final = 10_000_000
# Where Optuna keeps the names of objectives.
_METRIC_NAMES: Final = "study:metric_names"


def trial_id_of(study_id: int, number: int) -> int:
    """Return Optuna's id of a trial."""
    return study_id * _MAX_TRIALS + number


class ReadOnlyStorage(RefusesToWrite):
    """The studies of a server for Optuna's tools to read; everything that would write raises a ForbiddenError.

    A study's search trials are its trials, numbered from 0; baselines, confirmations and the refit are left out. Ended
    trials are fetched once and remembered. Safe to share between threads, and can be pickled.

    Args:
        url: Of the server; None for the local one, as for `Client`.
        token: Bearer token with the scope `read`; None as for `Client`.
        intermediate_values: Whether to fetch the objective of every epoch, with a request for each trial.

    Raises:
        NotFoundError: No address was given, and no local server runs.
    """

    def __init__(self, url: str | None = None, token: str | None = None, *, intermediate_values: bool = True) -> None:
        self._url, self._token, self._with_curves = url, token, intermediate_values
        self._open()

    def _open(self) -> None:
        self._client = Client(self._url, self._token, attempts=3)
        self._lock = threading.RLock()
        # Optuna's ids are whole numbers: given in the order in which studies are met.
        self._uids: list[str] = []
        self._ended: dict[str, tuple[int, FrozenTrial]] = {}

    def _fetch_studies(self) -> list[FrozenStudy]:
        """Return all studies, the oldest first."""
        with self._lock:
            found = sorted(self._client.studies.all(), key=lambda study: study.created_at)
            return [self._frozen_study(study) for study in found]

    def _fetch_trials(self, study_id: int) -> list[FrozenTrial]:
        """Return all trials of a study by number.

        Raises:
            KeyError: There is no such study.
        """
        study = self._view(study_id)
        distributions = distributions_of(study.definition.space)
        with self._lock:
            return [
                self._frozen_trial(trial, study, study_id, distributions)
                for trial in search_trials(self._client, study.study_id)
            ]

    def _view(self, study_id: int) -> StudyView:
        with self._lock:
            known = study_id < len(self._uids)
            if not known and study_id >= 0:
                self._fetch_studies()
            if not 0 <= study_id < len(self._uids):
                raise KeyError(study_id)
            uid = self._uids[study_id]
        try:
            return self._client.studies.get(uid)
        except NotFoundError:
            raise KeyError(study_id) from None

    def _frozen_study(self, study: StudyView) -> FrozenStudy:
        if study.study_id not in self._uids:
            self._uids.append(study.study_id)
        facts = {"hpsearch:study_id": study.study_id, "state": study.state, "notes": study.notes or None}
        return FrozenStudy(
            study_name=study.name,
            direction=StudyDirection[study.resolved.direction.upper()],
            user_attrs={name: value for name, value in (facts | dict(study.labels)).items() if value is not None},
            system_attrs={_METRIC_NAMES: [study.resolved.metric]},
            study_id=self._uids.index(study.study_id),
        )

    def _frozen_trial(
        self, trial: Trial, study: StudyView, study_id: int, distributions: dict[str, BaseDistribution]
    ) -> FrozenTrial:
        known = self._ended.get(trial.trial_id)
        if known is not None and known[0] == trial.attempt and trial.state in FINAL:
            return known[1]
        curve = curve_of(self._client, trial, study) if self._with_curves else {}
        number = trial.search_index or 0
        found = frozen(trial, distributions, curve, trial_id=trial_id_of(study_id, number))
        if trial.state in FINAL:
            self._ended[trial.trial_id] = (trial.attempt, found)
        return found

    def get_all_studies(self) -> list[FrozenStudy]:
        """Return all studies, the oldest first."""
        return self._fetch_studies()

    def _study(self, study_id: int) -> FrozenStudy:
        for study in self._fetch_studies():
            if study._study_id == study_id:  # noqa: SLF001 - Optuna's own way
                return study
        raise KeyError(study_id)

    def get_study_id_from_name(self, study_name: str) -> int:
        """Return the id of the newest study of that name.

        Raises:
            KeyError: There is none.
        """
        ids = [one._study_id for one in self._fetch_studies() if one.study_name == study_name]  # noqa: SLF001
        if not ids:
            raise KeyError(study_name)
        return ids[-1]

    def get_study_name_from_id(self, study_id: int) -> str:
        """Return a study's name."""
        return self._study(study_id).study_name

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Return the one direction of a study."""
        return list(self._study(study_id).directions)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Return a study's id on the server, state, notes and labels."""
        return dict(self._study(study_id).user_attrs)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Return the name of the objective."""
        return dict(self._study(study_id).system_attrs)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """Return one trial.

        Raises:
            KeyError: There is none.
        """
        for trial in self._fetch_trials(trial_id // _MAX_TRIALS) if trial_id >= 0 else ():
            if trial._trial_id == trial_id:  # noqa: SLF001 - Optuna's own way
                return copy.deepcopy(trial)
        raise KeyError(trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's signature
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Return a study's trials by number, of some states if given.

        Raises:
            KeyError: There is no such study.
        """
        found = [trial for trial in self._fetch_trials(study_id) if states is None or trial.state in states]
        return copy.deepcopy(found) if deepcopy else found

    def remove_session(self) -> None:
        """Give the connections back."""
        self._client.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"_url": self._url, "_token": self._token, "_with_curves": self._with_curves}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._open()
