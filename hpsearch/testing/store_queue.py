"""Claims, leases and moves of trials, as every database must do them: a part of the suite of stores."""

# ruff: noqa: D102, PLR2004, S101 - these are tests: their names say what they check, and they assert

from __future__ import annotations

from typing import Final

from hpsearch.clock import Clock, ManualClock
from hpsearch.storage.lease_shift import Limits
from hpsearch.storage.store import Store
from hpsearch.testing import store_rows as rows

_LIMITS: Final = Limits(lease_s=rows.LEASE_S, pause_s=30.0, quarantine_s=60.0)


class QueueConformance:
    """Who is given a trial, for how long, and whose result counts."""

    def open(self, clock: Clock | None = None) -> Store:
        """Return the store of this test, opened once more; see `StoreConformance`."""
        raise NotImplementedError

    def test_a_trial_is_given_once(self) -> None:
        store = self.open()
        rows.study(store, 14)
        workers = [rows.worker(store) for _ in range(rows.N_THREADS)]

        def claim_all(number: int) -> list[int]:
            given: list[int] = []
            while got := rows.claim(store, workers[number], 2):
                given += [row.id for row in got]
            return given

        given = [trial_id for ids in rows.together(claim_all) for trial_id in ids]
        given += [row.id for row in rows.claim(store, workers[0], 14)]  # what was passed over because it was held
        assert len(given) == len(set(given)) == 14

    def test_a_claim_sent_again_finds_what_it_was_given_as_long_as_that_is_its_own(self) -> None:
        store = self.open()
        rows.study(store, 2)
        worker_id = rows.worker(store)
        given = rows.claim(store, worker_id, 2, claim_id="claim")
        assert [row.attempt for row in given] == [1, 1]
        with store.read() as tx:
            assert tx.queue.claimed(worker_id=worker_id, claim_id="claim") == (given, True)
            assert tx.queue.claimed(worker_id=worker_id, claim_id="other") == ([], False)
        first, _ = rows.queued(store, given)
        rows.complete(store, first, 0.5)
        with store.read() as tx:
            assert tx.queue.claimed(worker_id=worker_id, claim_id="claim") == (given[1:], True)

    def test_priority_comes_first_then_who_was_put_first_then_age(self) -> None:
        store = self.open()
        low, high = rows.study(store, 1, priority=-5), rows.study(store, 3, priority=7)
        normal = rows.study(store, 1)
        worker_id = rows.worker(store)
        with store.write() as tx:
            locked = tx.studies.lock(high)
            last = max(trial.id for trial in tx.queue.open_of(high))
            assert locked.open.move_to_front(last)
        order = [rows.claim(store, worker_id, 1)[0] for _ in range(5)]
        assert [row.study_id for row in order] == [high, high, high, normal, low]
        assert [row.number for row in order[:3]] == [2, 0, 1]
        assert rows.claim(store, worker_id, 1) == []

    def test_trials_of_a_paused_study_are_not_given(self) -> None:
        store = self.open()
        study_id = rows.study(store, 1)
        worker_id = rows.worker(store)
        with store.write() as tx:
            assert tx.studies.lock(study_id).pause()
            rows.create(tx, study_id, 1)
        assert rows.claim(store, worker_id, 2) == []
        with store.write() as tx:
            assert tx.studies.lock(study_id).resume()
        assert len(rows.claim(store, worker_id, 3)) == 2

    def test_a_lease_lasts_as_long_as_it_was_given_for_and_is_renewed(self) -> None:
        clock = ManualClock()
        store = self.open(clock)
        rows.study(store, 2)
        worker_id = rows.worker(store)
        first, second = rows.claim(store, worker_id, 2)
        clock.advance(rows.LEASE_S - 1)
        assert rows.lapsed(store) == []
        with store.write() as tx:
            renewed = tx.queue.renew({(first.id, 1): 3, (second.id, 2): 3}, worker_id=worker_id, lease_s=rows.LEASE_S)
        assert renewed == {first.id}, "a lease of another attempt is not this one"
        clock.advance(2)
        assert rows.lapsed(store) == [second.id]
        assert [trial.last_epoch for trial in rows.queued(store, [first, second])] == [3, 0]

    def test_leases_follow_the_clock_of_the_store(self) -> None:
        store = self.open()
        rows.study(store, 2)
        worker_id = rows.worker(store)
        (over,) = rows.claim(store, worker_id, 1, lease_s=-1.0)
        rows.claim(store, worker_id, 1)
        assert rows.lapsed(store) == [over.id]

    def test_a_trial_that_was_lost_waits_before_it_is_given_again(self) -> None:
        clock = ManualClock()
        store = self.open(clock)
        study_id = rows.study(store, 1)
        worker_id = rows.worker(store)
        (trial,) = rows.queued(store, rows.claim(store, worker_id, 1))
        end = rows.ended(digest=None, state="FAILED", cause="crashed")
        with store.write() as tx:
            assert tx.studies.lock(study_id).trials.requeue_lost(trial, end, delay_s=5.0)
        assert rows.claim(store, worker_id, 1) == []
        clock.advance(6)
        assert [row.attempt for row in rows.claim(store, worker_id, 1)] == [2]

    def test_an_outage_is_given_back_and_no_lease_outlasts_a_new_one(self) -> None:
        clock = ManualClock()
        store = self.open(clock)
        rows.study(store, 1)
        rows.claim(store, rows.worker(store), 1)
        with store.write() as tx:
            assert tx.replicas.silence_s() is None
            tx.replicas.beat("replica")
        clock.advance(200)
        with store.write() as tx:
            tx.replicas.take_turn()
            silence_s = tx.replicas.silence_s()
            assert silence_s is not None
            assert abs(silence_s - 200) < 1e-3
            assert tx.queue.shift_leases(silence_s, _LIMITS) == 1
        assert rows.lapsed(store) == []
        with store.write() as tx:
            tx.queue.shift_leases(1_000, _LIMITS)
        clock.advance(rows.LEASE_S + 1)
        assert len(rows.lapsed(store)) == 1

    def test_a_stale_attempt_changes_nothing(self) -> None:
        store = self.open()
        study_id = rows.study(store, 1)
        worker_id = rows.worker(store)
        (stale,) = rows.queued(store, rows.claim(store, worker_id, 1))
        with store.write() as tx:
            assert tx.studies.lock(study_id).trials.release(stale, rows.ended(state="RELEASED"))
        given = rows.claim(store, worker_id, 1)
        with store.write() as tx:
            trials = tx.studies.lock(study_id).trials
            assert not trials.complete(stale, rows.ended(0.5), n_models=1)
            assert not trials.release(stale, rows.ended(state="RELEASED"))
            assert not trials.cancel(stale)
            assert tx.queue.renew({(stale.id, stale.attempt): 9}, worker_id=worker_id, lease_s=1.0) == set()
        (trial,) = rows.queued(store, given)
        assert (trial.state, trial.attempt, trial.last_epoch) == ("RUNNING", 2, 0)
        with store.read() as tx:
            assert tx.studies.by_ids([study_id])[study_id].n_complete == 0

    def test_one_of_many_results_is_accepted(self) -> None:
        store = self.open()
        study_id = rows.study(store, 1)
        (trial,) = rows.queued(store, rows.claim(store, rows.worker(store), 1))
        accepted = rows.together(lambda number: rows.complete(store, trial, 0.25 + number))
        assert sum(accepted) == 1
        value = 0.25 + accepted.index(True)
        with store.read() as tx:
            record = tx.studies.by_ids([study_id])[study_id]
            assert (record.n_complete, record.n_search_finished, record.best_value) == (1, 1, value)
            assert tx.trials.get(trial.uid).value == value

    def test_a_grid_point_is_one_trial(self) -> None:
        store = self.open()
        study_id, other_id = rows.study(store), rows.study(store)

        def create(study_id: int, index: int) -> None:
            with store.write() as tx:
                rows.create(tx, study_id, 1, grid_index=index)

        create(study_id, 7)
        assert rows.raised(lambda: create(study_id, 7)) is not None
        create(other_id, 7)
        create(study_id, 8)
        with store.read() as tx:
            assert tx.studies.by_ids([study_id])[study_id].n_search == len(tx.queue.open_of(study_id)) == 2
            assert tx.trials.taken_grid_indices(study_id, range(10)) == {7, 8}
