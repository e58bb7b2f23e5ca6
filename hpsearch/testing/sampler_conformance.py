"""What every sampler promises, as a test class: derive from it, name the algorithm, and run it with pytest."""

# ruff: noqa: D102, S101 - these are tests: their names say what they check, and they assert

from __future__ import annotations

import json
from dataclasses import replace
from typing import ClassVar, Final

from hpsearch.domain.algorithms import ALGORITHMS
from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.parameters import key
from hpsearch.domain.space import Space
from hpsearch.domain.study import Algorithm
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidStudyError
from hpsearch.sampling.request import NetworkShape, Observation, SuggestRequest
from hpsearch.sampling.suggest import suggest
from hpsearch.sampling.weights import n_weights

# Every kind of parameter, conditions on listed values and on depth, and a fixed value.
RICH: Final = Space.model_validate(
    {
        "layers": {"type": "int", "low": 0, "high": 4},
        "units": {"type": "int", "low": 8, "high": 512, "log": True, "per_layer": True},
        "activation": {"type": "categorical", "choices": ["relu", "tanh", "sigmoid"]},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
        "weight_decay": {"type": "float", "low": 1e-7, "high": 1e-2, "log": True, "steps": 6},
        "dropout": {"type": "float", "low": 0.0, "high": 0.6},
        "optimizer": {"type": "categorical", "choices": ["sgd", "momentum", "nesterov", "adam"]},
        "momentum": {"type": "float", "low": 0.5, "high": 0.99, "when": {"optimizer": ["momentum", "nesterov"]}},
        "batch_size": {"values": [128, 32, 64]},
        "batch_norm": {"type": "categorical", "choices": [True, False]},
        "init": "glorot_uniform",
    }
)

# The same without ranges, for algorithms of finite spaces.
LISTED: Final = Space.model_validate(
    {
        **RICH.model_dump(mode="json"),
        "units": {"values": [8, 32, 512]},
        "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True, "steps": 4},
        "dropout": {"values": [0.0, 0.6]},
        "momentum": {"values": [0.5, 0.9], "when": {"optimizer": ["momentum", "nesterov"]}},
    }
)

# Few enough points to try them all: each momentum counts as a point of its own, sgd as one.
SMALL: Final = Space.model_validate(
    {
        "layers": {"type": "int", "low": 1, "high": 2},
        "units": {"values": [16, 8, 32]},
        "optimizer": {"type": "categorical", "choices": ["sgd", "momentum"]},
        "momentum": {"values": [0.5, 0.9], "when": {"optimizer": ["momentum"]}},
    }
)
N_SMALL: Final = 2 * 3 * (1 + 2)

ANY: Final = NetworkShape(n_inputs=64, n_outputs=10, max_weights=None)


def request(
    kind: str = "random", *, space: Space | None = None, n: int = 8, shape: NetworkShape = ANY
) -> SuggestRequest:
    """Return a request for the first n points of a study of 40 trials, over `RICH` or, for finite ones, `LISTED`."""
    algorithm = Algorithm.model_validate({"kind": kind, "seed": 3})
    default = LISTED if algorithm.is_finite else RICH
    return SuggestRequest(space or default, algorithm, shape, "minimize", n, first_index=0, max_trials=40)


def results(points: list[Params], state: TrialState = TrialState.COMPLETE) -> tuple[Observation, ...]:
    """Return observations of the points whose value is the learning rate (or the width), so that small is good."""
    return tuple(Observation(p, state, float(p.get("learning_rate", p.get("units", 0)))) for p in points)


class SamplerConformance:
    """The suite.

    Attributes:
        kinds: The algorithms that are held to it, of `domain.algorithms.ALGORITHMS`; all of them unless said otherwise.
    """

    kinds: ClassVar[tuple[str, ...]] = tuple(ALGORITHMS)

    def suggest(self, request: SuggestRequest) -> list[Params]:
        """Return the answer; override it for another way to the samplers."""
        return suggest(request)

    def test_exactly_n_members_of_the_space(self) -> None:
        for kind in self.kinds:
            for asked in (request(kind, n=1), request(kind, n=23), self._informed(kind, n=5)):
                points = self.suggest(asked)
                assert len(points) == asked.n
                assert [asked.space.complete(p) for p in points] == points

    def test_values_are_plain_json_of_their_own_type(self) -> None:
        for kind in self.kinds:
            for point in self.suggest(self._informed(kind, n=6)):
                assert json.loads(json.dumps(point)) == point
                assert {type(v) for v in point.values()} <= {bool, int, float, str}
                assert type(point["layers"]) is int
                assert type(point["batch_norm"]) is bool
                assert type(point["learning_rate"]) is float
                assert point["init"] == "glorot_uniform"

    def test_same_request_same_answer_other_seed_other_answer(self) -> None:
        for kind in self.kinds:
            for asked in (request(kind), self._informed(kind)):
                first = self.suggest(asked)
                assert self.suggest(asked) == first
                other = Algorithm.model_validate({"kind": kind, "seed": 4})
                assert self.suggest(replace(asked, algorithm=other)) != first

    def test_points_depend_on_seed_and_index_alone_where_nothing_is_learnt(self) -> None:
        for kind in self._kinds(learns=False):
            whole = self.suggest(request(kind, n=9))
            single = [self.suggest(replace(request(kind, n=1), first_index=i))[0] for i in range(9)]
            informed = self.suggest(replace(self._informed(kind, n=9), first_index=0, max_trials=7))
            assert whole == single == informed
            assert len({json.dumps(point) for point in whole}) == len(whole)

    def test_weight_limit_is_obeyed_however_tight(self) -> None:
        smallest = n_weights({"layers": 1, "units_1": 8, "batch_norm": False}, ANY)
        for kind in self.kinds:
            for limit in (100_000, 5_000, smallest + 100, smallest):
                shape = replace(ANY, max_weights=limit)
                for asked in (request(kind, n=12, shape=shape), replace(self._informed(kind, n=4), shape=shape)):
                    points = self.suggest(asked)
                    assert len(points) == asked.n
                    assert [asked.space.complete(p) for p in points] == points
                    assert max(n_weights(p, shape) for p in points) <= limit

    def test_impossible_limit_is_one_clear_error(self) -> None:
        for kind in self.kinds:
            for asked in (request(kind), self._informed(kind)):
                error = self._refusal(replace(asked, shape=replace(ANY, max_weights=40)))
                assert error is not None, f"{kind}: a space without any feasible point was accepted"
                assert error.code == "study.infeasible"
                assert "40" in error.message
                assert "max_weights" in error.message

    def test_every_observation_is_understood(self) -> None:
        points = suggest(request("random", n=len(TrialState) * 4))
        states = list(TrialState) * 4
        values = [None, 0.1, float("nan"), float("inf")] * len(TrialState)
        mixed = tuple(Observation(p, s, v) for p, s, v in zip(points, states, values, strict=True))
        foreign = (
            Observation({"layers": 0, "learning_rate": 0.01, "optimizer": "adam"}, TrialState.COMPLETE, 0.3),
            Observation({"nonsense": 1}, TrialState.COMPLETE, 0.3),
        )
        for kind in self.kinds:
            for direction in ("minimize", "maximize"):
                asked = replace(request(kind), direction=direction, first_index=28, observations=mixed + foreign)
                found = self.suggest(asked)
                assert [asked.space.complete(p) for p in found] == found

    def test_small_space_is_covered_before_anything_repeats(self) -> None:
        for kind in self.kinds:
            traits = ALGORITHMS[kind]
            if not (traits.learns or traits.is_finite):
                continue
            tried: list[Params] = []
            for n in (4, 1, 6, 1, 3, 3):
                asked = replace(request(kind, space=SMALL, n=n), first_index=len(tried), observations=results(tried))
                tried += self.suggest(asked)
            assert len({tuple(sorted((name, key(v)) for name, v in p.items())) for p in tried}) == N_SMALL == len(tried)
            exhausted = replace(request(kind, space=SMALL, n=2), first_index=N_SMALL, observations=results(tried))
            assert len(self.suggest(exhausted)) == (0 if traits.is_finite else exhausted.n)

    def test_batch_does_not_repeat_itself_or_open_trials(self) -> None:
        done = results(suggest(request("random", n=30)))
        open_ = results(suggest(replace(request("random", n=6), first_index=30)), TrialState.RUNNING)
        for kind in self._kinds(learns=True):
            found = self.suggest(replace(request(kind, n=8), first_index=36, observations=done + open_))
            names = [json.dumps(p, sort_keys=True) for p in [*found, *(o.params for o in done + open_)]]
            assert len(set(names)) == len(names)

    def _kinds(self, *, learns: bool) -> list[str]:
        return [kind for kind in self.kinds if ALGORITHMS[kind].learns == learns]

    def _refusal(self, request: SuggestRequest) -> InvalidStudyError | None:
        try:
            self.suggest(request)
        except InvalidStudyError as error:
            return error
        return None

    def _informed(self, kind: str, n: int = 4) -> SuggestRequest:
        """A request in the middle of a study, with results."""
        done = results(suggest(request("random", n=20)))
        return replace(request(kind, n=n), first_index=20, observations=done)
