"""Bayesian search explores first, learns from every kind of result, and keeps away from what is under way."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from statistics import mean, stdev

import pytest

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.mlp import MlpConfig
from hpsearch.sampling.explore import n_startup
from hpsearch.sampling.request import Observation
from hpsearch.sampling.suggest import suggest
from tests.sampling.asking import (
    COMPLETE,
    FAILED,
    INFEASIBLE,
    PLANE,
    PRUNED,
    RUNNING,
    STEP,
    WAITING,
    asking,
    history,
    observe,
    shares,
    spread,
)
from tests.sampling.spaces import identity, space

# --- the first points


@pytest.mark.parametrize(
    ("max_trials", "expected"), [(1, 1), (8, 4), (20, 10), (40, 10), (100, 15), (200, 30), (10**6, 50)]
)
def test_exploration_takes_about_a_seventh_of_the_budget(max_trials: int, expected: int):
    assert n_startup(replace(asking(STEP), max_trials=max_trials)) == expected
    assert n_startup(replace(asking(STEP, n_startup=33), max_trials=max_trials)) == 33


def test_the_default_network_comes_first():
    of = space(
        {
            "layers": {"type": "int", "low": 1, "high": 5},
            "units": {"type": "int", "low": 16, "high": 512, "log": True, "per_layer": True},
            "activation": {"values": ["tanh", "relu"]},
            "learning_rate": {"type": "float", "low": 1e-4, "high": 0.1, "log": True},
            "dropout": {"type": "float", "low": 0.1, "high": 0.5},
            "optimizer": {"values": ["sgd", "adam", "momentum"]},
            "momentum": {"values": [0.5, 0.9], "when": {"optimizer": ["momentum"]}},
            "batch_size": {"values": [128, 48, 32]},
            "lr_decay_factor": {"values": [0.1, 0.5]},
            "init": {"values": ["he_normal", "glorot_uniform"]},
        }
    )
    first = suggest(asking(of))[0]
    wanted = {"layers": 2, "units_1": 64, "units_2": 64, "activation": "relu", "dropout": 0.1, "optimizer": "adam"}
    assert {name: first[name] for name in wanted} == wanted
    assert first["learning_rate"] == pytest.approx(1e-3)
    assert first["batch_size"] == 48
    assert "momentum" not in first


def test_the_default_network_is_not_repeated_where_it_was_the_baseline():
    of = space({"layers": {"values": [1, 2]}, "units": {"values": [32, 64]}})
    baseline = observe(COMPLETE, 0.2, layers=2, units=64, activation="relu", learning_rate=1e-3, batch_size=64)
    assert suggest(asking(of, index=0)) == [{"layers": 2, "units": 64}]
    assert suggest(asking(of, baseline, index=0)) != [{"layers": 2, "units": 64}]
    other = replace(baseline, params={**baseline.params, "learning_rate": 0.5})
    assert suggest(asking(of, other, index=0)) == [{"layers": 2, "units": 64}]


def test_first_points_fill_every_stratum_of_every_parameter():
    points = suggest(asking(PLANE, n=15))
    assert n_startup(asking(PLANE)) == 15
    for name in ("dropout", "input_dropout"):
        strata = [math.floor(float(p[name]) / 0.9 * 14) for p in points[1:]]
        assert sorted(strata) == list(range(14))
    assert Counter(suggest(asking(PLANE, n=1, index=i))[0]["dropout"] for i in range(1, 15)) == Counter(
        p["dropout"] for p in points[1:]
    )


def test_exploration_goes_on_while_no_results_are_known():
    """Sixty points open at once and none finished: a model would know nothing."""
    points = suggest(asking(PLANE, n=60))
    later = [float(p["dropout"]) for p in points[15:43]]
    assert sorted(math.floor(u / 0.9 * 14) for u in later[:14]) == list(range(14))


def test_random_requests_and_first_points_need_no_optuna():
    program = (
        "import sys\n"
        "from hpsearch.domain.space import Space\n"
        "from hpsearch.domain.study import Algorithm\n"
        "from hpsearch.sampling.suggest import NetworkShape, SuggestRequest, suggest\n"
        "of = Space.model_validate({'dropout': {'type': 'float', 'low': 0.0, 'high': 0.5}})\n"
        "for kind in ('random', 'bayesian'):\n"
        "    suggest(SuggestRequest(of, Algorithm(kind=kind), NetworkShape(3, 2, None), 'minimize', 5, 0, 40))\n"
        "print(sorted({'optuna', 'scipy', 'sqlalchemy', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- what the model learns


def test_picks_gather_where_values_are_best():
    done = history(STEP, 40, lambda u: abs(u - 0.7))
    assert mean(abs(u - 0.7) for u in shares(suggest(asking(STEP, *done, n=6)))) < 0.12
    worst = replace(asking(STEP, *done, n=6), direction="maximize")
    assert mean(abs(u - 0.7) for u in shares(suggest(worst))) > 0.4


@pytest.mark.parametrize("state", [INFEASIBLE, FAILED])
@pytest.mark.parametrize("value", [None, -5.0, math.nan])
def test_a_trial_without_a_result_teaches_the_worst_value(state: TrialState, value: float | None):
    """Values get better to the right until everything diverges there: the model must not run over the edge."""
    done = history(STEP, 60, lambda u: 1 - u if u < 0.6 else value, state=lambda u: COMPLETE if u < 0.6 else state)
    picked = shares(suggest(asking(STEP, *done, n=8)))
    assert sum(0.35 < u < 0.68 for u in picked) >= 7
    # Had those trials been left out, the model would go on to the right.
    silent = [o for o in done if o.state is COMPLETE]
    assert max(shares(suggest(asking(STEP, *silent, n=8, index=60)))) > max(picked)


def test_a_complete_trial_whose_value_is_not_a_number_is_the_worst_too():
    done = history(STEP, 60, lambda u: 1 - u if u < 0.6 else math.inf)
    assert sum(u < 0.68 for u in shares(suggest(asking(STEP, *done, n=8)))) >= 7


def test_pruned_trials_count_with_the_value_they_had():
    """All good trials were pruned late with good values, all complete ones are poor."""
    done = history(STEP, 40, lambda u: abs(u - 0.3), state=lambda u: PRUNED if 0.1 < u < 0.9 else COMPLETE)
    everything_pruned = [replace(o, state=PRUNED) for o in done]
    assert mean(abs(u - 0.3) for u in shares(suggest(asking(STEP, *everything_pruned, n=6)))) < 0.15
    unknown = [replace(o, value=None) if o.state is PRUNED else o for o in done]
    assert len(suggest(asking(STEP, *unknown, n=6))) == 6


@pytest.mark.parametrize("state", [RUNNING, WAITING])
def test_open_trials_keep_later_picks_away(state: TrialState):
    done = history(STEP, 40, lambda u: abs(u - 0.7))
    crowd = [Observation({"learning_rate": 10 ** (3 * (0.7 + 0.004 * i) - 4)}, state, None) for i in range(-15, 15)]
    alone = shares(suggest(asking(STEP, *done, n=5, index=70)))
    beside = shares(suggest(asking(STEP, *done, *crowd, n=5, index=70)))
    assert mean(abs(u - 0.7) for u in beside) > 2 * mean(abs(u - 0.7) for u in alone)


def test_cancelled_trials_teach_nothing():
    done = history(STEP, 30, lambda u: abs(u - 0.7))
    cancelled = history(STEP, 30, lambda _: -1.0, state=lambda _: TrialState.CANCELLED)
    assert suggest(asking(STEP, *done, *cancelled, n=3, index=30)) == suggest(asking(STEP, *done, n=3, index=30))


def test_a_batch_spreads_out():
    done = history(STEP, 40, lambda u: abs(u - 0.7))
    together = shares(suggest(asking(STEP, *done, n=12)))
    apart = [shares(suggest(asking(STEP, *done, index=40 + i)))[0] for i in range(12)]
    assert stdev(together) > 1.2 * stdev(apart)


def test_a_conditional_parameter_is_learnt_where_it_exists():
    of = space(
        {
            "optimizer": {"values": ["sgd", "momentum"]},
            "momentum": {"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": ["momentum"]}},
        }
    )
    done = [observe(COMPLETE, 1.0, optimizer="sgd") for _ in range(15)]
    done += [observe(COMPLETE, abs(u - 0.9), optimizer="momentum", momentum=0.99 * u) for u in spread(30)]
    picked = suggest(asking(of, *done, n=6))
    assert [p["optimizer"] for p in picked] == ["momentum"] * 6
    assert mean(abs(float(p["momentum"]) / 0.99 - 0.9) for p in picked) < 0.15


def test_parameters_of_one_branch_are_learnt_together():
    """Good is where the two agree, wherever that is: parameters learnt one by one would agree by chance alone."""
    when = {"optimizer": ["momentum"]}
    of = space(
        {
            "optimizer": {"values": ["sgd", "momentum"]},
            "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": when},
            "dropout": {"type": "float", "low": 0.0, "high": 0.9, "when": when},
        }
    )
    pairs = [(0.9 * u, 0.9 * v) for i, u in enumerate(spread(100)) for v in ((u + 0.137 * (i % 7)) % 1,)]
    done = [observe(COMPLETE, abs(m - d), optimizer="momentum", momentum=m, dropout=d) for m, d in pairs]
    done += [observe(COMPLETE, 1.0, optimizer="sgd")] * 5
    picked = [suggest(asking(of, *done, index=1_000 + i))[0] for i in range(12)]
    assert mean(abs(float(p["momentum"]) - float(p["dropout"])) for p in picked) < 0.1


def test_listed_numbers_keep_their_order():
    """Good at 1,024 and 4,096 and never tried between: an order says 2,048 is promising, mere names do not."""
    values = [2**i for i in range(3, 17)]
    of = space({"batch_size": {"values": values[::-1]}, "dropout": {"type": "float", "low": 0.0, "high": 0.5}})
    tried = [v for v in values if v != 2_048] * 4
    done = [
        observe(COMPLETE, abs(math.log2(v) - 11), batch_size=v, dropout=0.5 * u)
        for v, u in zip(tried, spread(len(tried)), strict=True)
    ]
    counts = Counter(p["batch_size"] for p in suggest(asking(of, *done, n=12)))
    assert counts[2_048] >= 3
    assert set(counts) <= {512, 1_024, 2_048, 4_096, 8_192}


def test_one_and_true_are_different_choices():
    of = space({"batch_norm": {"values": [True, False]}, "dropout": {"type": "float", "low": 0.0, "high": 0.5}})
    done = [
        observe(COMPLETE, float(on) + u, batch_norm=on, dropout=0.5 * u) for u in spread(30) for on in (True, False)
    ]
    assert Counter(p["batch_norm"] for p in suggest(asking(of, *done, n=6)))[False] >= 5


# --- what may come in


def test_points_outside_the_space_and_rounded_ones():
    of = space(
        {
            "layers": {"type": "int", "low": 1, "high": 2},
            "units": {"type": "int", "low": 8, "high": 128, "log": True, "per_layer": True},
            "dropout": {"type": "float", "low": 0.0, "high": 0.6, "steps": 7},
            "learning_rate": 0.001,
        }
    )
    # A baseline in other words than the space's, a rounded step, and three that no point of the space describes.
    default = MlpConfig().model_copy(update={"dropout": 0.1})
    foreign = [
        Observation({"layers": 2, "units": 64, "dropout": 0.1}, COMPLETE, 0.1),
        Observation({"layers": 1, "units_1": 9, "dropout": 0.30000000000001, "learning_rate": 0.001}, COMPLETE, 0.2),
        Observation({"layers": 3, "units": 64}, COMPLETE, 0.0),
        Observation({"layers": 1, "units_1": 16, "dropout": 0.1, "learning_rate": 0.5}, COMPLETE, 0.0),
        Observation({"layers": 1, "units_1": 16, "dropout": 0.1, "activation": "tanh"}, COMPLETE, 0.0),
    ]
    own = [
        Observation({"layers": 1, "units_1": round(8 + 120 * u), "dropout": 0.0, "learning_rate": 0.001}, COMPLETE, u)
        for u in spread(20)
    ]
    asked = asking(of, *own, *foreign, n=4, index=30)
    known = replace(
        asked,
        observations=(
            *own,
            Observation(
                {"layers": 2, "units_1": 64, "units_2": 64, "dropout": 0.1, "learning_rate": 0.001}, COMPLETE, 0.1
            ),
            Observation({"layers": 1, "units_1": 9, "dropout": 0.3, "learning_rate": 0.001}, COMPLETE, 0.2),
        ),
    )
    assert MlpConfig.from_params({"layers": 2, "units": 64, "dropout": 0.1}) == default
    # dropout 0.3 of seven steps is 0.6 * 3 / 6, which is not the float 0.3: the same point all the same.
    assert suggest(asked) == suggest(known)
    assert suggest(asked) != suggest(replace(asked, observations=tuple(own)))


def test_enqueued_points_count_as_tried():
    of = space({"batch_size": {"values": [16, 32, 64]}, "activation": {"values": ["relu", "tanh"]}})
    waiting = [observe(WAITING, batch_size=b, activation=a) for b in (16, 32) for a in ("relu", "tanh")]
    found = suggest(asking(of, *waiting, n=2))
    assert {identity(p) for p in found} == {identity({"batch_size": 64, "activation": a}) for a in ("relu", "tanh")}


def test_repeats_give_way_to_the_nearest_untried_point():
    """The best of a line of widths was tried: its neighbours come next, not something far off."""
    of = space({"units": {"type": "int", "low": 1, "high": 200}})
    done = [observe(COMPLETE, abs(u - 100) / 100, units=u) for u in range(1, 201, 3)]
    tried = {o.params["units"] for o in done}
    found = [int(p["units"]) for p in suggest(asking(of, *done, n=10))]
    assert len(set(found) - tried) == 10
    assert sum(70 <= u <= 130 for u in found) >= 8


def test_discrete_branch_used_up_leads_into_the_continuous_one():
    of = space(
        {
            "optimizer": {"values": ["sgd", "momentum"]},
            "momentum": {"type": "float", "low": 0.1, "high": 0.9, "when": {"optimizer": ["momentum"]}},
        }
    )
    done = [observe(COMPLETE, 0.0, optimizer="sgd")]
    done += [observe(COMPLETE, 1.0 + u, optimizer="momentum", momentum=0.1 + 0.8 * u) for u in spread(30)]
    assert [p["optimizer"] for p in suggest(asking(of, *done, n=4))] == ["momentum"] * 4


def test_nothing_but_failures_still_gives_points():
    done = history(STEP, 30, lambda _: None, state=lambda _: FAILED)
    assert len({identity(p) for p in suggest(asking(STEP, *done, n=4))}) == 4


def test_a_space_with_nothing_to_search_gives_its_only_point():
    of = space({"learning_rate": 0.1})
    done = [observe(COMPLETE, 1.0, learning_rate=0.1)] * 30
    assert suggest(asking(of, *done, n=2)) == [{"learning_rate": 0.1}] * 2
