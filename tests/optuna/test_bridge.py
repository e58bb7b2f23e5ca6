"""To Optuna, from Optuna, and Optuna's tools on a server's studies."""

from __future__ import annotations

import copy
import json
import pickle
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from hpsearch import Client, Study
from hpsearch.domain.space import Space
from hpsearch.errors import ForbiddenError, InvalidInputError, InvalidStudyError
from hpsearch.optuna import ReadOnlyStorage, import_study, to_optuna
from hpsearch.optuna.distributions import distributions_of, parameter_of
from tests.e2e.stack import Stack

optuna.logging.set_verbosity(optuna.logging.ERROR)


@pytest.fixture
def storage(lab: Stack, client: Client, ended: Study) -> Iterator[ReadOnlyStorage]:
    found = ReadOnlyStorage(client.url, lab.token)
    yield found
    found.remove_session()


def test_a_study_becomes_one_of_optunas(ended: Study):
    theirs = ended.to_optuna()
    ours = [one for one in ended.trials(kind="search") if one.value is not None]
    assert theirs.study_name == ended.name
    assert theirs.metric_names == ["accuracy"]
    assert [one.params for one in theirs.trials] == [one.params for one in ours]
    assert [one.value for one in theirs.trials] == [one.value for one in ours]
    assert theirs.best_value == max(one.value for one in ours)
    for theirs_one, one in zip(theirs.trials, ours, strict=True):
        assert len(theirs_one.intermediate_values) == one.epochs
        assert theirs_one.intermediate_values[one.best_epoch] == one.value
        assert ("units_2" in theirs_one.params) == (one.params["layers"] == 2), "conditional"
    assert theirs.trials[0].distributions["learning_rate"] == FloatDistribution(1e-3, 1e-1, log=True)
    assert set(optuna.importance.get_param_importances(theirs)) <= set(ended.view.definition.space.flat())
    assert not to_optuna(ended, intermediate_values=False).trials[0].intermediate_values


_SPACE = {
    "layers": {"type": "int", "low": 1, "high": 3},
    "units": {"type": "int", "low": 8, "high": 64, "log": True},
    "batch_size": {"type": "int", "low": 16, "high": 64, "steps": 4},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5, "steps": 3},
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True, "steps": 3},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
    "batch_norm": {"type": "categorical", "choices": [True, False]},
    "optimizer": "adam",
}


def test_parameters_become_distributions_and_come_back():
    found = distributions_of(Space.model_validate(_SPACE))
    assert found == {
        "layers": IntDistribution(1, 3),
        "units": IntDistribution(8, 64, log=True),
        "batch_size": IntDistribution(16, 64, step=16),
        "dropout": FloatDistribution(0.0, 0.5, step=0.25),
        "learning_rate": FloatDistribution(0.001, 0.1, log=True),
        "activation": CategoricalDistribution(("relu", "tanh")),
        "batch_norm": CategoricalDistribution((True, False)),
    }
    back = {name: parameter_of(name, distribution) for name, distribution in found.items()}
    expected = {name: dict(parameter) for name, parameter in _SPACE.items() if isinstance(parameter, dict)}
    del expected["learning_rate"]["steps"]  # Optuna has no steps on a logarithmic scale
    assert back == expected


def objective(trial: optuna.Trial) -> float:
    layers = trial.suggest_int("n_layers", 1, 2)
    for layer in range(1, layers + 1):
        trial.suggest_int(f"units_{layer}", 4, 16, log=True)
    kind = trial.suggest_categorical("optimizer", ["adam", "momentum"])
    if kind == "momentum":
        trial.suggest_float("momentum", 0.5, 0.9)
    return abs(trial.suggest_float("lr", 1e-3, 1e-1, log=True) - 0.02)


_RENAME = {"lr": "learning_rate", "n_layers": "layers"}


@pytest.fixture(scope="module")
def theirs() -> optuna.Study:
    study = optuna.create_study(study_name="from optuna", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=30)
    return study


def test_an_optuna_study_becomes_one_of_ours(client: Client, theirs: optuna.Study):
    made = import_study(client, theirs, rename=_RENAME, n_best=3, data="iris", training={"max_epochs": 2})
    space = made.view.definition.space.root
    assert made.name == "from optuna"
    assert made.view.budget.max_trials == 30
    assert space["units_2"].when == {"layers": (2,)}
    assert space["momentum"].when == {"optimizer": ("momentum",)}
    assert (space["learning_rate"].low, space["learning_rate"].high, space["learning_rate"].log) == (1e-3, 1e-1, True)
    ranked = sorted(theirs.trials, key=lambda trial: trial.value)
    best = [{_RENAME.get(name, name): value for name, value in trial.params.items()} for trial in ranked[:3]]
    made.cancel()
    tried = [trial.params for trial in made.trials(kind="search")]
    assert all(point in tried for point in best)


def test_what_can_not_be_imported_is_told(client: Client, theirs: optuna.Study):
    with pytest.raises(InvalidStudyError, match="unknown parameter 'n_layers'"):
        import_study(client, theirs, data="iris")
    with pytest.raises(InvalidInputError, match="has 2 objectives; expected one"):
        import_study(client, optuna.create_study(directions=["minimize"] * 2), data="iris")
    with pytest.raises(InvalidInputError, match="has no complete trial"):
        import_study(client, optuna.create_study(), data="iris")
    with pytest.raises(InvalidInputError, match="accuracy is better when you maximize it"):
        import_study(client, theirs, rename=_RENAME, data="iris", objective={"metric": "accuracy"})
    with pytest.raises(InvalidInputError, match="import_study: study must be a Study, received 'digits'"):
        import_study(client, "digits", data="iris")
    with pytest.raises(InvalidInputError, match="the choice None can not stand in a study"):
        parameter_of("dropout", CategoricalDistribution((None, 0.1)))
    odd = optuna.create_study()
    odd.optimize(lambda trial: trial.suggest_float("dropout", 0, 0.5) if trial.number else 1.0, n_trials=2)
    with pytest.raises(InvalidStudyError, match="no single other parameter tells from which"):
        import_study(client, odd, data="iris")


def test_every_question_is_answered_as_by_optunas_own_storage(storage: ReadOnlyStorage, ended: Study):
    """The same trials in memory, asked the same: every reading method agrees."""
    mine = storage.get_study_id_from_name(ended.name)
    exported = ended.to_optuna()
    theirs, their_id = exported._storage, exported._study_id
    assert storage.get_study_name_from_id(mine) == theirs.get_study_name_from_id(their_id)
    assert storage.get_study_directions(mine) == theirs.get_study_directions(their_id)
    assert storage.get_study_system_attrs(mine) == theirs.get_study_system_attrs(their_id)
    assert storage.get_study_user_attrs(mine)["hpsearch:study_id"] == ended.study_id
    assert [one._study_id for one in storage.get_all_studies() if one.study_name == ended.name] == [mine]
    for states in (None, (TrialState.COMPLETE,), (TrialState.FAIL, TrialState.PRUNED), ()):
        ours, others = storage.get_all_trials(mine, states=states), theirs.get_all_trials(their_id, states=states)
        assert [vars(plain(one)) for one in ours] == [vars(plain(one)) for one in others]
        assert storage.get_n_trials(mine, states) == theirs.get_n_trials(their_id, states)
    assert plain(storage.get_best_trial(mine)) == plain(theirs.get_best_trial(their_id))
    for number in range(3):
        found = storage.get_trial_id_from_study_id_trial_number(mine, number)
        other = theirs.get_trial_id_from_study_id_trial_number(their_id, number)
        assert storage.get_trial_number_from_id(found) == number
        assert storage.get_trial_params(found) == theirs.get_trial_params(other)
        assert storage.get_trial_user_attrs(found) == theirs.get_trial_user_attrs(other)
        name = next(iter(storage.get_trial_params(found)))
        assert storage.get_trial_param(found, name) == theirs.get_trial_param(other, name)


def plain(trial: optuna.trial.FrozenTrial) -> optuna.trial.FrozenTrial:
    copied = copy.copy(trial)  # the storage in memory hands out its own
    copied._trial_id = 0
    return copied


def test_optunas_plots_are_drawn_from_the_storage(storage: ReadOnlyStorage, ended: Study):
    study = optuna.load_study(study_name=ended.name, storage=storage)
    assert study.best_value == ended.to_optuna(intermediate_values=False).best_value
    draw = optuna.visualization
    for plot in (draw.plot_optimization_history, draw.plot_intermediate_values, draw.plot_parallel_coordinate):
        assert plot(study).data
    assert draw.plot_slice(study, params=["learning_rate"]).data
    assert draw.plot_contour(study, params=["learning_rate", "units_1"]).data
    with pytest.raises(ForbiddenError, match="this storage can not create a trial: it only reads"):
        study.ask()


def test_a_pickled_storage_reads_on(storage: ReadOnlyStorage, ended: Study):
    again = pickle.loads(pickle.dumps(storage))  # noqa: S301 - our own
    assert again.get_study_name_from_id(again.get_study_id_from_name(ended.name)) == ended.name
    again.remove_session()


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_args: Any) -> None:
        pass


def test_the_dashboard_shows_the_study(storage: ReadOnlyStorage, ended: Study):
    dashboard = pytest.importorskip("optuna_dashboard")
    with make_server("127.0.0.1", 0, dashboard.wsgi(storage), handler_class=_Quiet) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            listed = ask(http.server_port, "/api/studies")["study_summaries"]
            mine = next(one for one in listed if one["study_name"] == ended.name)
            assert mine["directions"] == ["maximize"]
            shown = ask(http.server_port, f"/api/studies/{mine['study_id']}?after=0")
            assert [one["number"] for one in shown["trials"]] == list(range(10))
            assert shown["best_trials"][0]["values"] == [ended.to_optuna(intermediate_values=False).best_value]
            assert {one["name"] for one in shown["union_search_space"]} == set(ended.view.definition.space.searched())
        finally:
            http.shutdown()
            thread.join()


def ask(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as reply:
        return json.load(reply)
