"""The parts of a worker, one by one."""

from __future__ import annotations

import errno
import io
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import structlog

from hpsearch.client import Client
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.errors import ConflictError, HpsearchError, InvalidInputError, LimitError, NotFoundError
from hpsearch.wire.claims import ClaimedTrial
from hpsearch.wire.reports import MAX_MEASUREMENTS
from tests.workers.fake_server import CONTENT, PROFILE, TOKEN, FakeServer
from workers import claimer, devices
from workers.assignments import Assignment, Assignments
from workers.devices import CORES_VARIABLE, Gpu, arrange, engine_for
from workers.log import configure, logger
from workers.options import WorkerOptions
from workers.server.dataset_cache import DataCache
from workers.server.model_thresholds import ModelThresholds
from workers.trainers.frames import MAX_FRAME_BYTES, read_frame, write_frame
from workers.training.engine.failures import outcome_of
from workers.training.testing.stub_engine import StubEngine, stub_curve, stub_value
from workers.work_folder import make_folder


def claimed(trial_id: str = "t", attempt: int = 1, kind: str = "search") -> ClaimedTrial:
    return ClaimedTrial(
        trial_id=trial_id, study_id="study-1", number=0, kind=kind, attempt=attempt, params={"units": 8}, seed=0
    )


def held(assignments: Assignments, **fields: Any) -> Assignment:
    (assignment,) = assignments.add([(claimed(**fields), FakeServer().study)])
    return assignment


class TestFrames:
    def test_they_come_out_as_they_went_in_whatever_the_pipe_does(self):
        reading, writing = os.pipe()
        payloads = [b"", b"x" * 300_000, "ü".encode()]
        with os.fdopen(reading, "rb", buffering=0) as source, os.fdopen(writing, "wb", buffering=0) as sink:
            writer = threading.Thread(target=lambda: [write_frame(sink, payload) for payload in payloads])
            writer.start()
            assert [read_frame(source) for _ in payloads] == payloads
            writer.join()

    @pytest.mark.parametrize("cut", [b"", b"\x00\x00", b"\x00\x00\x00\x05abc"])
    def test_the_end_of_the_pipe_is_none_even_in_mid_frame(self, cut: bytes):
        assert read_frame(io.BytesIO(cut)) is None  # type: ignore[arg-type]

    def test_rubbish_is_not_waited_for(self):
        with pytest.raises(ValueError, match="at most"):
            read_frame(io.BytesIO(b"\xff\xff\xff\xffGET"))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="at most"):
            write_frame(io.BytesIO(), bytes(MAX_FRAME_BYTES + 1))  # type: ignore[arg-type]


class TestDevices:
    GPUS = (Gpu("GPU-a", "H200", 150 << 30), Gpu("GPU-b", "H200", 150 << 30))

    def test_without_a_gpu_the_cores_are_shared(self):
        device_slots, sentence = arrange(2, (), 8)
        assert sentence == "no GPU found: training on 8 CPU cores with 2 trainers"
        assert [slot.device.cores for slot in device_slots] == [4, 4]
        assert device_slots[0].environment["TF_NUM_INTRAOP_THREADS"] == "4"
        assert device_slots[0].environment["CUDA_VISIBLE_DEVICES"] == "-1"

    def test_the_native_engine_has_one_thread_for_each_product_and_one_process_for_eight_cores(self):
        device_slots, sentence = arrange(None, (), 20, "native")
        assert sentence == "no GPU found: training on 20 CPU cores with 3 trainers"
        assert [slot.device.cores for slot in device_slots] == [7, 7, 6]
        assert {slot.environment["OPENBLAS_NUM_THREADS"] for slot in device_slots} == {"1"}
        assert [slot.environment[CORES_VARIABLE] for slot in device_slots] == ["7", "7", "6"]

    def test_the_native_engine_leaves_gpus_alone(self):
        device_slots, sentence = arrange(None, self.GPUS, 2, "native")
        assert sentence == "the native engine uses no GPU: training on 2 CPU cores with 1 trainer"
        assert device_slots[0].environment["CUDA_VISIBLE_DEVICES"] == "-1"
        assert device_slots[0].device.kind == "cpu"

    def test_the_device_decides_what_auto_means(self):
        assert engine_for("auto", ()) == "native"
        assert engine_for("auto", self.GPUS) == "fused"
        assert engine_for("reference", self.GPUS) == "reference"

    def test_one_trainer_per_gpu_with_memory_growth(self):
        device_slots, sentence = arrange(None, self.GPUS, 16)
        assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in device_slots] == ["GPU-a", "GPU-b"]
        assert all(slot.environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true" for slot in device_slots)
        assert sentence == "training on 2 GPUs (H200) with 2 trainers"
        assert device_slots[0].device.memory_bytes == 150 << 30

    def test_more_trainers_share_the_gpus_in_turn(self):
        device_slots, _ = arrange(3, self.GPUS, 2)
        assert [slot.environment["CUDA_VISIBLE_DEVICES"] for slot in device_slots] == ["GPU-a", "GPU-b", "GPU-a"]

    @pytest.mark.parametrize(
        ("visible", "expected"),
        [
            (None, ["GPU-a", "GPU-b"]),
            ("", []),
            ("-1", []),
            ("1", ["1"]),
            ("1,0", ["1", "0"]),
            ("0,7,1", ["0"]),
            ("GPU-b", ["GPU-b"]),
            ("MIG-x", ["MIG-x"]),
            ("nonsense", []),
        ],
    )
    def test_what_the_user_hides_stays_hidden(
        self, monkeypatch: pytest.MonkeyPatch, visible: str | None, expected: list[str]
    ):
        monkeypatch.setattr(devices, "_installed_gpus", lambda: self.GPUS)
        environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
        assert [gpu.visible for gpu in devices.find_gpus(environment)] == expected

    @pytest.mark.parametrize(
        ("quota", "cores"), [("150000 100000", 2), ("max 100000", 4), ("10000 100000", 1), ("x", 4)]
    )
    def test_a_containers_quota_counts(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, cores: int):
        (tmp_path / "cpu.max").write_text(quota)
        monkeypatch.setattr(devices, "_CGROUP", tmp_path)
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(4)), raising=False)
        assert devices.cpu_cores() == cores


class TestOptions:
    def test_the_stub_needs_its_variable(self):
        with pytest.raises(InvalidInputError, match="HPSEARCH_STUB_ENGINE=1"):
            WorkerOptions("http://x", engine="stub").checked({})
        assert WorkerOptions("http://x", engine="stub").checked({"HPSEARCH_STUB_ENGINE": "1"})

    @pytest.mark.parametrize("wrong", [{"engine": "magic"}, {"trainers": 0}, {"trainers": 1000}, {"max_idle_s": 0.0}])
    def test_wrong_values_are_named(self, wrong: dict[str, Any]):
        with pytest.raises(InvalidInputError, match=str(next(iter(wrong.values())))):
            WorkerOptions("http://x", **wrong).checked({})

    def test_a_work_folder_that_can_not_be_made(self, tmp_path: Path):
        (tmp_path / "file").write_text("")
        with pytest.raises(InvalidInputError, match="can not be used"):
            make_folder(tmp_path / "file" / "work")


def test_what_killed_workers_left_is_cleared_and_what_live_ones_use_is_not(tmp_path: Path):
    (tmp_path / "worker-999999999-abc").mkdir()
    (tmp_path / "worker-999999999-abc" / "0.keras").write_bytes(b"left behind")
    (tmp_path / f"worker-{os.getpid()}-abc").mkdir()
    fresh = make_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"worker-{os.getpid()}-abc", fresh.name}


class TestLedger:
    def test_an_attempt_claimed_twice_is_held_once(self):
        assignments = Assignments()
        held(assignments)
        assert assignments.add([(claimed(), FakeServer().study)]) == []
        assert held(assignments, attempt=2).ticket != 1

    def test_every_held_trial_is_reported_and_epochs_only_until_acknowledged(self):
        assignments = Assignments()
        quiet, busy = held(assignments, trial_id="quiet"), held(assignments, trial_id="busy")
        assignments.measure(busy, Measurement(epoch=1, metrics={"loss": 1.0}))
        assert assignments.wait_for_news(0)
        batch = assignments.reports()
        assert not assignments.wait_for_news(0)
        assert [(r.trial_id, len(r.measurements)) for _, r in batch] == [("quiet", 0), ("busy", 1)]
        assignments.measure(busy, Measurement(epoch=2, metrics={"loss": 0.5}))
        assignments.acknowledge(*batch[1])
        assert [m.epoch for _, r in assignments.reports() for m in r.measurements] == [2]
        assert quiet in assignments.held()

    def test_the_end_waits_for_all_epochs(self):
        assignments = Assignments()
        trial = held(assignments)
        for epoch in range(1, MAX_MEASUREMENTS + 2):
            assignments.measure(trial, Measurement(epoch=epoch, metrics={}))
        assignments.settle(trial, Outcome(state="COMPLETE", value=0.5))
        first = assignments.reports()[0]
        assert first[1].outcome is None
        assert len(first[1].measurements) == MAX_MEASUREMENTS
        assert assignments.wait_for_news(0)  # there is more
        assignments.acknowledge(*first)
        last = assignments.reports()[0]
        assert last[1].outcome is not None
        assignments.acknowledge(*last)
        assert assignments.held() == []

    def test_the_first_end_counts_and_nothing_follows_it(self):
        assignments = Assignments()
        trial = held(assignments)
        assignments.settle(trial, Outcome(state="FAILED", cause="stalled"))
        assignments.settle(trial, Outcome(state="FAILED", cause="crashed"))
        assert assignments.reports()[0][1].outcome == Outcome(state="FAILED", cause="stalled")
        assert assignments.close(trial)
        assert not assignments.close(trial)
        assignments.measure(trial, Measurement(epoch=1, metrics={}))
        assert not trial.unsent

    def test_waiting_trials_are_counted_until_they_start_or_end(self):
        assignments = Assignments()
        one, two = held(assignments, trial_id="1"), held(assignments, trial_id="2")
        assert assignments.n_unstarted() == 2
        one.is_started = True
        assignments.settle(two, Outcome(state="RELEASED", cause="disk_full"))
        assert assignments.n_unstarted() == 0


@pytest.mark.parametrize(("metric", "kept"), [("accuracy", [False, False, True]), ("loss", [True, False, False])])
def test_models_must_beat_the_threshold(metric: str, kept: list[bool]):
    study = FakeServer(metric=metric).study
    trial, refit = claimed(), claimed("r", kind="refit")
    thresholds = ModelThresholds()
    assert thresholds.keeps(trial, study, 0.0)
    thresholds.update(["study-1"], {"study-1": 0.5})
    assert [thresholds.keeps(trial, study, value) for value in (0.4, 0.5, 0.6)] == kept
    assert thresholds.keeps(refit, study, 0.5)
    thresholds.update(["study-1"], {})
    assert thresholds.keeps(trial, study, 0.5)


class TestCache:
    def test_content_is_fetched_checked_and_kept(self, server: FakeServer, tmp_path: Path):
        with Client(server.url, TOKEN) as client:
            path, profile = DataCache(tmp_path).fetch(client, server.study)
            assert path.read_bytes() == CONTENT
            assert profile == PROFILE
            DataCache(tmp_path).fetch(client, server.study)  # another process finds it
            assert server.n("GET", "/content") == 1
            path.write_bytes(b"damaged")
            assert DataCache(tmp_path).fetch(client, server.study)[0].read_bytes() == CONTENT

    @pytest.mark.parametrize("digest", ["../../etc/passwd", "AB" * 32, ""])
    def test_a_digest_that_is_none_never_becomes_a_path(self, server: FakeServer, tmp_path: Path, digest: str):
        study = server.study.model_copy(update={"dataset_digest": digest})
        with Client(server.url, TOKEN) as client, pytest.raises(ConflictError) as caught:
            DataCache(tmp_path).fetch(client, study)
        assert caught.value.code == "digest_mismatch"

    def test_what_nobody_used_for_a_month_is_deleted(self, tmp_path: Path):
        for name, age_s in (("old", 31 * 86_400), ("new", 86_400)):
            (tmp_path / name).write_bytes(b"")
            os.utime(tmp_path / name, (time.time() - age_s,) * 2)
        DataCache(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize("as_json", [True, False])
def test_log_lines_can_not_be_forged_by_names(capsys: pytest.CaptureFixture[str], as_json: bool):
    configure(as_json=as_json)
    try:
        logger().info("claimed trial 1 of evil\n12:00:00 [info] all is well \x1b[31m", name="a\x00b")
    finally:
        structlog.reset_defaults()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert "\\n12:00:00" in (json.loads(err)["event"] if as_json else err)


class TestStub:
    def test_its_results_can_be_recomputed(self):
        assert stub_value({"units": 8, "a": 1}) == stub_value({"a": 1, "units": 8})
        assert 0 <= stub_value({"units": 8}) < 1
        assert stub_curve({"units": 8}, 4)[-1] == stub_value({"units": 8})

    def test_it_is_set_by_the_environment(self):
        text = "kill:units=1,hang:activation=relu"
        engine = StubEngine.of_environment({"HPSEARCH_STUB_EPOCHS": "7", "HPSEARCH_STUB_FAULTS": text})
        assert engine == StubEngine(7, 0.01, (("kill", "units", "1"), ("hang", "activation", "relu")))


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (NotFoundError("the stored file is missing", code="blob.missing"), "data_missing"),
        (LimitError("too large"), "data_missing"),
        (ConflictError("altered", code="digest_mismatch"), "data_mismatch"),
        (ConflictError("altered", code="blob.digest_mismatch"), "data_mismatch"),
        (HpsearchError("full", code="disk.full"), "disk_full"),
    ],
)
def test_data_that_can_not_be_had_is_nothing_against_a_trial(error: HpsearchError, cause: str):
    outcome = claimer._fetch_failure(error)
    assert (outcome.state, outcome.cause, outcome.detail) == ("RELEASED", cause, error.message)


@pytest.mark.parametrize(
    ("error", "state", "cause"),
    [
        (OSError(errno.ENOSPC, "full"), "RELEASED", "disk_full"),
        (OSError(errno.EIO, "the disk is broken"), "RELEASED", "infrastructure"),
        (FileNotFoundError(errno.ENOENT, "no such layer"), "FAILED", "training_error"),
        (MemoryError(), "INFEASIBLE", "oom"),
        (ValueError("\udcff\x00" + "x" * 100_000), "FAILED", "training_error"),
    ],
)
def test_what_escapes_the_engine_becomes_an_outcome(error: Exception, state: str, cause: str):
    outcome = outcome_of(error)
    assert (outcome.state, outcome.cause) == (state, cause)
    assert len(outcome.detail or "") <= 16 * 1024
