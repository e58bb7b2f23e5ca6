"""Values, lists and contents, as every database must keep them: a part of the suite of stores."""

# ruff: noqa: D102, S101, S106 - these are tests: their names say what they check, and they assert

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hpsearch.clock import Clock, ManualClock
from hpsearch.errors import InvalidInputError, NotFoundError
from hpsearch.storage.records import ContentRecord
from hpsearch.storage.store import Store
from hpsearch.testing import store_rows as rows

# Neither in the order of the alphabet nor of their lengths, and nothing that text or floats could lose.
_JSON: Final[dict[str, Any]] = {
    "zeta": {"b": 1, "alpha": [0.1, 1e-300, -1.5e300, 2**53, -0.0], "a": None},
    "é \\ \" ' \u2028 \U0001f600": ["", " ", "\t\n", True, False, [], {}],
    "m": 1.0,
}
_PARAMS: Final[dict[str, Any]] = {
    "learning_rate": 1.2345678901234567e-5,
    "layers": 2,
    "batch_norm": True,
    "activation": "relu",
}
_KEYS: Final = ("plain", "a.b", 'quo"te', "$", "$.plain", "[0]", "ключ", "back\\slash", " ", "%", "null")


class DataConformance:
    """What is written is what is read and found."""

    def open(self, clock: Clock | None = None) -> Store:
        """Return the store of this test, opened once more; see `StoreConformance`."""
        raise NotImplementedError

    def test_json_comes_back_as_it_was(self) -> None:
        store = self.open()
        study_id = rows.study(store, definition=_JSON)
        with store.write() as tx:
            (trial_id,) = rows.create(tx, study_id, 1, params=_PARAMS)
        with store.read() as tx:
            stored = tx.studies.by_ids([study_id])[study_id].definition
            assert tx.trials.by_id(trial_id).params == _PARAMS
        assert json.dumps(stored) == json.dumps(_JSON), "a definition keeps the order of its keys"

    def test_a_result_without_a_value_has_none(self) -> None:
        store = self.open()
        study_id = rows.study(store, 2)
        diverged, good = rows.queued(store, rows.claim(store, rows.worker(store), 2))
        with store.write() as tx:
            end = rows.ended(state="INFEASIBLE", cause="diverged")
            assert tx.studies.lock(study_id).trials.reject(diverged, end)
        rows.complete(store, good, 0.5)
        with store.read() as tx:
            assert tx.trials.get(diverged.uid).value is None
            board, _ = tx.trials.ranked(study_id, limit=10, page_token=None)
            assert [one.trial.number for one in board] == [good.number]
            for order in ("asc", "desc"):
                page, _ = tx.trials.page(study_id, limit=10, page_token=None, sort="value", descending=order == "desc")
                assert [trial.value for trial in page] == [0.5, None]

    def test_instants_are_aware_and_exact(self) -> None:
        clock = ManualClock(datetime(2026, 3, 29, 1, 59, 59, 123_456, tzinfo=UTC))
        store = self.open(clock)
        study_id = rows.study(store)
        with store.read() as tx:
            at = tx.studies.by_ids([study_id])[study_id].created_at
        assert at == clock.now()
        assert at.utcoffset() == timedelta(0)

    def test_what_was_measured_first_stays(self) -> None:
        store = self.open()
        rows.study(store, 1)
        (trial,) = rows.claim(store, rows.worker(store), 1)
        with store.write() as tx:
            tx.attempts.add_measurements([(trial.id, 1, 2, {"loss": 0.5, "auc": None})])
        with store.write() as tx:
            tx.attempts.add_measurements([(trial.id, 1, epoch, {"loss": 9.0}) for epoch in (1, 2, 3)])
        with store.read() as tx:
            first, token = tx.attempts.measurements(trial.id, 1, limit=2, page_token=None)
            rest, end = tx.attempts.measurements(trial.id, 1, limit=2, page_token=token)
        assert [*first, *rest] == [(1, {"loss": 9.0}), (2, {"loss": 0.5, "auc": None}), (3, {"loss": 9.0})]
        assert end is None

    def test_a_deleted_study_leaves_nothing(self) -> None:
        store = self.open()
        study_id, kept = rows.study(store, 2), rows.study(store, 1)
        trial, _ = rows.queued(store, rows.claim(store, rows.worker(store), 2))
        rows.complete(store, trial, 0.5)
        with store.write() as tx:
            tx.events.add("study.created", study_id=study_id)
            tx.studies.lock(study_id).delete()
        with store.read() as tx:
            assert list(tx.studies.by_ids([study_id, kept])) == [kept]
            assert isinstance(rows.raised(lambda: tx.trials.get(trial.uid)), NotFoundError)
            assert tx.attempts.of_trial(trial.id) == []
            assert tx.events.latest(study_id) == (0, 0)

    def test_pages_are_whole_while_rows_are_added(self) -> None:
        store = self.open()
        studies = [rows.study(store) for _ in range(5)]
        found: list[int] = []
        token = None
        while True:
            with store.read() as tx:
                page, token = tx.overview.page(limit=2, page_token=token)
            found += [record.id for record in page]
            rows.study(store)
            if token is None:
                break
        assert found == studies[::-1]
        with store.read() as tx:
            forged = rows.raised(lambda: tx.overview.page(limit=2, page_token="forged"))
        assert isinstance(forged, InvalidInputError)

    def test_studies_are_found_by_any_label(self) -> None:
        store = self.open()
        studies = {key: rows.study(store, labels={key: f"value of {key}", "all": ""}) for key in _KEYS}
        rows.study(store, labels={"all": "other"})
        with store.read() as tx:

            def labelled(key: str, value: str | None) -> list[int]:
                return sorted(record.id for record in tx.overview.page(
                    limit=100, page_token=None, label=(key, value))[0])  # fmt: skip

            for key, study_id in studies.items():
                assert labelled(key, None) == labelled(key, f"value of {key}") == [study_id]
                assert labelled(key, "another value") == []
            assert labelled("all", "") == sorted(studies.values())
            assert len(labelled("all", None)) == len(studies) + 1
            assert labelled("nowhere", None) == []

    def test_a_content_is_removed_only_while_no_row_refers_to_it(self) -> None:
        store = self.open()
        rows.study(store)  # its data set refers to the digest of zeros
        digests = ["0" * 64, "1" * 64]
        with store.write() as tx:
            copies = [tx.contents.announce(ContentRecord(digest, "0123abcd", 1)) for digest in digests]
            assert copies == [tx.contents.announce(ContentRecord(digest, "89abcdef", 1)) for digest in digests]
        with store.write() as tx:
            assert [record.digest for record in tx.contents.remove_unreferred(digests)] == ["1" * 64]
            assert [tx.contents.hold(digest, "0123abcd") for digest in digests] == [True, False]
