"""The sampling process answers like the sampler itself, survives being killed, and never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import InvalidStudyError, UnavailableError
from hpsearch.sampling.background import BackgroundSampler
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.suggest import suggest
from hpsearch.testing.sampler_conformance import ANY, request, results

LONG = 60.0


@pytest.fixture
def sampler() -> Iterator[BackgroundSampler]:
    background = BackgroundSampler()
    yield background
    background.close()


def child_of(sampler: BackgroundSampler) -> int:
    assert sampler._child is not None
    return sampler._child._process.pid


def until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    """Whether the process has ended (a zombie nobody has asked about counts)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def modelled() -> SuggestRequest:
    """A request that is not answered without the model."""
    return replace(request("bayesian"), first_index=20, observations=results(suggest(request("random", n=20))))


def slow_request() -> SuggestRequest:
    """A request that takes seconds: many picks from many results."""
    done = results(suggest(request("random", n=900)))
    return replace(request("bayesian", n=400), first_index=900, observations=done)


def test_the_first_points_wait_for_no_process(sampler: BackgroundSampler):
    assert sampler.suggest("s", request("bayesian"), timeout_s=LONG) == suggest(request("bayesian"))
    assert sampler._child is None
    taught = replace(request("bayesian"), observations=results(suggest(request("random", n=2))))
    assert sampler.suggest("s", taught, timeout_s=LONG) == suggest(taught)
    started = child_of(sampler)
    assert sampler.suggest("s", modelled(), timeout_s=LONG) == suggest(modelled())
    assert child_of(sampler) == started, "it was started in time for the first that needs it"


def test_a_closed_sampler_starts_no_process(sampler: BackgroundSampler):
    sampler.close()
    sampler.warm()
    assert sampler._child is None


def test_a_killed_process_is_replaced_at_the_next_call(sampler: BackgroundSampler):
    first = sampler.suggest("s", modelled(), timeout_s=LONG)
    killed = child_of(sampler)
    os.kill(killed, signal.SIGKILL)
    until(lambda: gone(killed))
    assert sampler.suggest("s", modelled(), timeout_s=LONG) == first
    assert child_of(sampler) != killed


def test_death_under_way_costs_no_more_than_a_new_start(sampler: BackgroundSampler):
    expected = sampler.suggest("s", modelled(), timeout_s=LONG)
    killed = child_of(sampler)
    os.kill(killed, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (killed, signal.SIGKILL)).start()
    assert sampler.suggest("s", modelled(), timeout_s=LONG) == expected
    assert child_of(sampler) != killed


def test_a_process_that_dies_at_once_is_said_and_the_next_call_works(sampler: BackgroundSampler):
    def kill_the_first() -> None:
        until(lambda: sampler._child is not None)
        os.kill(child_of(sampler), signal.SIGKILL)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    with pytest.raises(UnavailableError, match=r"study s: .*killed by signal 9"):
        sampler.suggest("s", slow_request(), timeout_s=LONG)
    killer.join()
    assert len(sampler.suggest("s", request(), timeout_s=LONG)) == 8


def test_no_answer_in_time_ends_the_process(sampler: BackgroundSampler):
    sampler.suggest("s", request(), timeout_s=LONG)
    slow, asked = child_of(sampler), slow_request()
    begun = time.monotonic()
    with pytest.raises(UnavailableError, match=r"no answer within 0\.5 s") as refused:
        sampler.suggest("s", asked, timeout_s=0.5)
    assert time.monotonic() - begun < 5
    assert refused.value.code == "sampler.unavailable"
    assert gone(slow)
    assert len(sampler.suggest("s", request(), timeout_s=LONG)) == 8


def test_a_frozen_process_does_not_freeze_the_server(sampler: BackgroundSampler):
    """The request is larger than the socket's buffer, so that sending it blocks too."""
    sampler.suggest("s", request(), timeout_s=LONG)
    os.kill(child_of(sampler), signal.SIGSTOP)
    many = replace(request("random"), observations=results(suggest(request("random", n=100))) * 400)
    with pytest.raises(UnavailableError, match="no answer within"):
        sampler.suggest("s", many, timeout_s=0.5)
    assert len(sampler.suggest("s", request(), timeout_s=LONG)) == 8


def test_waiting_for_another_study_is_bounded(sampler: BackgroundSampler):
    sampler.suggest("s", request(), timeout_s=LONG)
    outcome: list[Any] = []
    asked = slow_request()

    def slow() -> None:
        try:
            outcome.append(sampler.suggest("slow", asked, timeout_s=1.5))
        except UnavailableError as error:
            outcome.append(error)

    thread = threading.Thread(target=slow)
    thread.start()
    until(sampler._turn.locked)
    with pytest.raises(UnavailableError, match=r"busy for 0\.2 s"):
        sampler.suggest("other", request(), timeout_s=0.2)
    thread.join()
    assert len(outcome) == 1


def test_threads_get_their_own_answers(sampler: BackgroundSampler):
    asked = [replace(request("bayesian", n=2), first_index=i) for i in range(6)]
    answers: dict[int, Any] = {}

    def ask(i: int) -> None:
        answers[i] = sampler.suggest(f"study {i}", asked[i], timeout_s=LONG)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[i] for i in range(6)] == [suggest(a) for a in asked]


def test_errors_of_the_sampler_arrive_whole(sampler: BackgroundSampler):
    impossible = replace(request(), shape=replace(ANY, max_weights=10))
    with pytest.raises(InvalidStudyError, match="at most 10 weights") as here:
        suggest(impossible)
    with pytest.raises(InvalidStudyError) as there:
        sampler.suggest("s", impossible, timeout_s=LONG)
    assert (there.value.message, there.value.code, there.value.details) == (
        here.value.message,
        here.value.code,
        here.value.details,
    )


def test_a_fault_in_the_sampler_is_unavailability_with_its_reason(sampler: BackgroundSampler):
    with pytest.raises(UnavailableError, match=r"ended with code 1 \(ValueError: ask for at least 1 point"):
        sampler.suggest("s", replace(request(), n=0), timeout_s=LONG)
    assert len(sampler.suggest("s", request(), timeout_s=LONG)) == 8


def test_closed_means_closed():
    sampler = BackgroundSampler()
    sampler.close()
    with pytest.raises(UnavailableError, match="closed"):
        sampler.suggest("s", request(), timeout_s=LONG)
    used = BackgroundSampler()
    used.suggest("s", request(), timeout_s=LONG)
    pid = child_of(used)
    used.close()
    used.close()
    assert gone(pid)


PARENT = """
import sys, time
from hpsearch.sampling.background import BackgroundSampler
from hpsearch.testing.sampler_conformance import request
# No guard against being imported again: a process that ran this module once more would never end.
sampler = BackgroundSampler()
sampler.suggest("s", request(), timeout_s=60)
if "slow" in sys.argv:
    from tests.sampling.test_background import slow_request
    asked = slow_request()
print(sampler._child._process.pid, flush=True)
if "slow" in sys.argv:
    sampler.suggest("s", asked, timeout_s=60)
time.sleep(60)
"""


@pytest.mark.parametrize("busy", [False, True])
def test_the_process_dies_with_its_parent(tmp_path: Path, busy: bool):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    checkout = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    arguments = [sys.executable, str(script), *(["slow"] if busy else [])]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        if busy:
            time.sleep(0.5)
        parent.kill()
    until(lambda: gone(pid), within_s=5)


def test_interrupting_the_terminal_leaves_the_decision_to_the_parent(sampler: BackgroundSampler):
    sampler.suggest("s", request(), timeout_s=LONG)
    pid = child_of(sampler)
    os.kill(pid, signal.SIGINT)
    assert len(sampler.suggest("s", request(), timeout_s=LONG)) == 8
    assert child_of(sampler) == pid


def test_modules_of_the_working_directory_are_not_imported(
    sampler: BackgroundSampler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "optuna.py").write_text("raise SystemExit('a decoy was imported')")
    monkeypatch.chdir(tmp_path)
    assert len(sampler.suggest("s", modelled(), timeout_s=LONG)) == 8
