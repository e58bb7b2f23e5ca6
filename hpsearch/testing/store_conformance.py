"""What every store promises, as a test class: derive from it, say how to open one, and run it with pytest."""

# ruff: noqa: D102, PLR2004, S101, S106 - these are tests: their names say what they check, and they assert

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hpsearch.clock import Clock
from hpsearch.storage.store import Store
from hpsearch.testing import store_rows as rows
from hpsearch.testing.store_data import DataConformance
from hpsearch.testing.store_queue import QueueConformance


class StoreConformance(QueueConformance, DataConformance):
    """The suite; the derived class says how to open a store on a database that has the newest schema and no rows."""

    def open(self, clock: Clock | None = None) -> Store:
        """Return the store of this test, opened once more: all that are opened in one test are one database."""
        raise NotImplementedError

    def test_what_a_body_wrote_is_there_when_it_has_ended(self) -> None:
        study_id = rows.study(self.open(), 3)
        with self.open().read() as tx:
            assert tx.studies.by_ids([study_id])[study_id].n_search == 3
            assert len(tx.queue.open_of(study_id)) == 3

    def test_an_error_undoes_its_body_alone(self) -> None:
        store = self.open()
        study_id = rows.study(store, 1)

        def fail() -> None:
            with store.write() as tx:
                rows.create(tx, study_id, 2)
                tx.events.add("study.created", study_id=study_id)
                raise ZeroDivisionError

        assert isinstance(rows.raised(fail), ZeroDivisionError)
        with store.write() as tx:
            rows.create(tx, study_id, 1)
        assert isinstance(rows.raised(fail), ZeroDivisionError)
        with store.read() as tx:
            assert tx.studies.by_ids([study_id])[study_id].n_search == len(tx.queue.open_of(study_id)) == 2
            assert tx.events.latest(study_id) == (0, 0)

    def test_nothing_is_seen_before_the_commit(self) -> None:
        store = self.open()
        study_id = rows.study(store)
        with store.write() as writing:
            rows.create(writing, study_id, 1)
            with store.read() as tx:
                assert tx.queue.open_of(study_id) == []
                assert tx.studies.by_ids([study_id])[study_id].n_search == 0

    def test_what_is_counted_under_the_lock_of_a_study_is_never_lost(self) -> None:
        store = self.open()
        study_id = rows.study(store)

        def count(_: int) -> None:
            for _ in range(4):
                with store.write() as tx:
                    locked = tx.studies.lock(study_id)
                    locked.set_grid_cursor(locked.record.grid_cursor + 1)
                    rows.create(tx, study_id, 1)

        rows.together(count)
        with store.read() as tx:
            record = tx.studies.by_ids([study_id])[study_id]
            numbers = sorted(trial.number for trial in tx.queue.open_of(study_id))
        assert (record.grid_cursor, record.n_search, record.n_numbers) == (4 * rows.N_THREADS,) * 3
        assert numbers == list(range(4 * rows.N_THREADS))

    def test_one_of_many_that_use_a_key_at_once_gets_it(self) -> None:
        store = self.open()

        def remember(number: int) -> bool:
            with store.write() as tx:
                return tx.studies.remember_request(
                    token_uid="token", key="key", fingerprint="0", object_uid=str(number), at=tx.at
                )

        won = rows.together(remember)
        assert sum(won) == 1
        with store.read() as tx:
            assert tx.studies.remembered_request(token_uid="token", key="key") == ("0", str(won.index(True)))

    def test_events_are_followed_without_gaps_while_writers_commit_out_of_order(self) -> None:
        store = self.open()
        study_id = rows.study(store)
        followed: list[int] = []
        position = (0, 0)

        def follow() -> None:
            nonlocal position
            with store.read() as tx:
                for row in tx.events.since(study_id, xact=position[0], event_id=position[1], limit=100):
                    followed.append(row.data["number"])
                    position = (row.xact, row.id)
                assert tx.events.latest(study_id) == position

        def log(number: int) -> None:
            with store.write() as tx:
                tx.events.add("study.changed", study_id=study_id, data={"number": number})

        log(0)
        follow()
        with ThreadPoolExecutor(1) as pool:
            with store.write() as early:
                early.events.add("study.changed", study_id=study_id, data={"number": 1})
                early.events.latest(study_id)  # an answer is waited for: the event has its number
                late = pool.submit(log, 2)
                if not store.dialect.has_one_writer:
                    late.result(timeout=30)
                follow()
            late.result(timeout=30)
        follow()
        log(3)
        follow()
        assert sorted(followed) == [0, 1, 2, 3]
        assert followed.index(3) == 3
