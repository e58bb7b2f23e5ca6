"""Optuna's own test cases for storages, those that read, over what ReadOnlyStorage does with what it has fetched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from optuna.storages import InMemoryStorage
from optuna.study._frozen import FrozenStudy
from optuna.testing.pytest_storages import StorageTestCase
from optuna.trial import FrozenTrial

from hpsearch.optuna import ReadOnlyStorage
from hpsearch.optuna.refusing import RefusesToWrite
from hpsearch.optuna.storage import trial_id_of

# Those of Optuna's cases that look at reading; the others look at what writing does.
READING = (
    "test_get_trial_number_from_id", "test_get_all_studies", "test_get_trial", "test_get_all_trials",
    "test_get_all_trials_params_order", "test_get_all_trials_deepcopy_option", "test_get_all_trials_state_option",
    "test_get_all_trials_not_modified", "test_get_n_trials", "test_get_n_trials_state_option", "test_get_best_trial",
    "test_get_best_trial_for_multi_objective_optimization", "test_get_trial_id_from_study_id_trial_number",
    "test_get_study_id_from_name_and_get_study_name_from_id", "test_set_and_get_study_directions",
    "test_get_trial_user_attrs", "test_get_trial_system_attrs", "test_get_trial_param_and_get_trial_params",
)  # fmt: skip


class _Filled(ReadOnlyStorage):
    """Reads as ReadOnlyStorage does, what the test case has written into a storage in memory instead of a server."""

    def __init__(self) -> None:
        self._memory = InMemoryStorage()

    def _fetch_studies(self) -> list[FrozenStudy]:
        return self._memory.get_all_studies()

    def _fetch_trials(self, study_id: int) -> list[FrozenTrial]:
        found = copy.deepcopy(self._memory.get_all_trials(study_id))
        for trial in found:
            trial._trial_id = trial_id_of(study_id, trial.number)
        return found

    def _theirs(self, trial_id: int) -> int:
        trial = self.get_trial(trial_id)
        study_id = next(
            one._study_id for one in self._fetch_studies() if trial_id_of(one._study_id, trial.number) == trial_id
        )
        return self._memory.get_trial_id_from_study_id_trial_number(study_id, trial.number)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> Any:
        made = self._memory.create_new_trial(study_id, template_trial)
        return trial_id_of(study_id, self._memory.get_trial_number_from_id(made))


def _writing(name: str) -> Any:
    def write(self: _Filled, first: int, *args: Any, **kwargs: Any) -> Any:
        known = self._theirs(first) if "_trial_" in name else first
        return getattr(self._memory, name)(known, *args, **kwargs)

    return write


for _name in [one for one in vars(RefusesToWrite) if one.startswith(("set_", "delete_"))]:
    setattr(_Filled, _name, _writing(_name))
_Filled.create_new_study = lambda self, *args, **kwargs: self._memory.create_new_study(*args, **kwargs)  # type: ignore[method-assign]


@pytest.fixture
def storage() -> _Filled:
    return _Filled()


TestReading = type(
    "TestReading",
    (),
    {name: getattr(StorageTestCase, name) for name in READING}
    | {name: member for name, member in vars(StorageTestCase).items() if name.startswith("_") and callable(member)},
)
