"""Rows of `dataset`."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from hpsearch.errors import NotFoundError
from hpsearch.storage.paging import after, check_limit, decode_token, encode_token, ordered
from hpsearch.storage.records import DatasetRecord, NewDatasetRow, columns_of, to_record
from hpsearch.storage.tables import dataset, study, trial

_COLUMNS = columns_of(DatasetRecord, dataset)


class DatasetRepository:
    """Data sets within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, new: NewDatasetRow) -> int:
        """Insert a data set and return its internal id."""
        return int(self._connection.execute(insert(dataset).values(**vars(new)).returning(dataset.c.id)).scalar_one())

    def get(self, uid: str) -> DatasetRecord:
        """Return one data set.

        Raises:
            NotFoundError: There is none of that id.
        """
        row = self._connection.execute(select(*_COLUMNS).where(dataset.c.uid == uid)).first()
        if row is None:
            msg = f"there is no data set {uid!r}; add it with `hpsearch datasets add`"
            raise NotFoundError(msg, code="dataset.not_found")
        return to_record(DatasetRecord, row)

    def by_name(self, source: str, name: str) -> DatasetRecord | None:
        """Return the newest data set of a source and a name."""
        statement = select(*_COLUMNS).where(dataset.c.source == source, dataset.c.name == name)
        row = self._connection.execute(statement.order_by(dataset.c.id.desc()).limit(1)).first()
        return None if row is None else to_record(DatasetRecord, row)

    def same(self, *, digest: str, name: str, target: str, source: str) -> DatasetRecord | None:
        """Return a stored data set of the same content, name and target."""
        statement = select(*_COLUMNS).where(
            dataset.c.digest == digest, dataset.c.name == name, dataset.c.target == target, dataset.c.source == source
        )
        row = self._connection.execute(statement.limit(1)).first()
        return None if row is None else to_record(DatasetRecord, row)

    def page(self, *, limit: int, page_token: str | None) -> tuple[list[DatasetRecord], str | None]:
        """Return data sets, newest first, and the token of the next page."""
        check_limit(limit)
        order = [(dataset.c.id, True)]
        statement = select(*_COLUMNS)
        if page_token is not None:
            statement = statement.where(after(order, decode_token("datasets", page_token, length=1)))
        rows = self._connection.execute(ordered(statement, order).limit(limit + 1)).all()
        found = [to_record(DatasetRecord, row) for row in rows[:limit]]
        return found, encode_token("datasets", [found[-1].id]) if len(rows) > limit else None

    def of_trials(self, trial_uids: Sequence[str]) -> dict[int, DatasetRecord]:
        """Return the data sets of some trials' studies, by the internal id of the study."""
        statement = (
            select(study.c.id.label("of_study"), *_COLUMNS)
            .join(dataset, dataset.c.id == study.c.dataset_id)
            .where(study.c.id.in_(select(trial.c.study_id).where(trial.c.uid.in_(trial_uids))))
        )
        rows = self._connection.execute(statement)
        return {row.of_study: to_record(DatasetRecord, row[1:]) for row in rows}  # type: ignore[arg-type]

    def delete(self, uid: str) -> None:
        """Delete a data set that no study uses."""
        self._connection.execute(delete(dataset).where(dataset.c.uid == uid))
