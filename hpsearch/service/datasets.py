"""Data sets: adding a file, taking a named one, reading them back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hpsearch.domain.dataset import Dataset, DatasetProfile
from hpsearch.domain.study import DatasetReference
from hpsearch.errors import ConflictError, NotFoundError
from hpsearch.ingest.intake import Ingested, ingest_named, ingest_upload
from hpsearch.service.context import Caller, Context
from hpsearch.service.ids import new_uid
from hpsearch.storage.records import ContentRecord, DatasetRecord, NewDatasetRow
from hpsearch.storage.store import Transaction
from hpsearch.wire.pages import Page

Source = Literal["builtin", "generated", "upload"]


@dataclass(frozen=True)
class StoredFile:
    """A file of the server, ready to be sent.

    Attributes:
        path: Where it lies.
        digest: SHA-256 of its content, in hex.
        size_bytes: Of the content.
        filename: What to call it on the other side.
    """

    path: Path
    digest: str
    size_bytes: int
    filename: str


def upload(ctx: Context, caller: Caller, path: Path, *, name: str, target: str | None) -> Dataset:  # noqa: ARG001
    """Store the data file at ``path`` and return its data set; the same content, name and target twice are one.

    Args:
        ctx: The server's parts.
        caller: Who adds it.
        path: An uploaded temporary file; the caller deletes it.
        name: For people.
        target: Name of the target column; None takes the last one.

    Raises:
        InvalidDatasetError: It can not be read or used; nothing is kept.
    """
    return _view(_keep(ctx, ingest_upload(path, target=target), source="upload", name=name))


def lacking(ctx: Context, trial_ids: Sequence[str]) -> dict[int, str]:
    """Return what the server lacks for the studies of some trials, by the study's internal id, each with a sentence.

    Every content is read and compared. A built-in or generated set that is gone or was altered is made again.

    Raises:
        UnavailableError: The database or the content store does not answer.
    """
    with ctx.store.read() as tx:
        found = tx.datasets.of_trials(trial_ids)
    wrong = {record.digest: _wrong(ctx, record) for record in found.values()}
    checked = {study_id: (record, wrong[record.digest]) for study_id, record in found.items()}
    return {
        study_id: (
            f"the stored file of its data set {record.name!r} is {what}: add the same file again "
            f"(`hpsearch datasets add FILE --target {record.target}`); its trials wait until then"
        )
        for study_id, (record, what) in checked.items()
        if what is not None
    }


def _wrong(ctx: Context, record: DatasetRecord) -> str | None:
    """Return what is wrong with a stored content, after making it again if the server can; None when nothing is."""
    try:
        ctx.content.path(record.digest)
    except (NotFoundError, ConflictError) as error:
        what = "missing" if isinstance(error, NotFoundError) else "damaged"
    else:
        return None
    if record.source == "upload":
        return what
    source: Literal["builtin", "generated"] = "builtin" if record.source == "builtin" else "generated"
    again = _keep(
        ctx, ingest_named(source, record.name, ctx.content.new_temporary().parent), source=source, name=record.name
    )
    return None if again.digest == record.digest else what


def _let_go_on(ctx: Context, digest: str) -> None:
    """Let studies go on that waited for a content that is there again."""
    with ctx.store.read() as tx:
        waiting = tx.studies.troubled_by(digest)
    for study_id in waiting:
        with suppress(NotFoundError), ctx.store.write() as tx:  # deleted meanwhile
            study = tx.studies.lock(study_id)
            study.set_trouble(None)
            study.open.forgive_pause()
            ctx.signals.changed(study.uid)
    if waiting:
        ctx.signals.work()


def _keep(ctx: Context, ingested: Ingested, *, source: Source, name: str) -> DatasetRecord:
    profile = ingested.profile
    try:
        content = ctx.content.put_file(ingested.content)
    finally:
        ingested.content.unlink(missing_ok=True)
    with ctx.store.write() as tx:
        ctx.content.hold(tx, content)
        known = tx.datasets.same(digest=content.digest, name=name, target=profile.target, source=source)
        kept = known or _add(tx, content, profile, source=source, name=name)
    _let_go_on(ctx, content.digest)
    return kept


def _add(
    tx: Transaction, content: ContentRecord, profile: DatasetProfile, *, source: Source, name: str
) -> DatasetRecord:
    uid = new_uid()
    tx.datasets.add(
        NewDatasetRow(
            uid=uid,
            name=name,
            source=source,
            digest=content.digest,
            size_bytes=content.size_bytes,
            n_rows=profile.n_rows,
            n_columns=len(profile.columns),
            target=profile.target,
            task=profile.task,
            profile=profile.model_dump(mode="json"),
            created_at=tx.at,
        )
    )
    return tx.datasets.get(uid)


def named(ctx: Context, reference: DatasetReference) -> DatasetRecord:
    """Return the data set a definition refers to; built-in and generated ones are made on first use.

    Raises:
        NotFoundError: There is no data set of that id.
    """
    source: Literal["builtin", "generated"] = "builtin" if reference.builtin is not None else "generated"
    name = reference.builtin or reference.generated
    with ctx.store.read() as tx:
        if name is None:
            return tx.datasets.get(str(reference.id))
        known = tx.datasets.by_name(source, name)
    if known is not None:
        return known
    return _keep(ctx, ingest_named(source, name, ctx.content.new_temporary().parent), source=source, name=name)


def _view(record: DatasetRecord) -> Dataset:
    return Dataset(
        dataset_id=record.uid,
        name=record.name,
        source=record.source,
        digest=record.digest,
        size_bytes=record.size_bytes,
        n_rows=record.n_rows,
        n_columns=record.n_columns,
        target=record.target,
        task=record.task,
        created_at=record.created_at,
    )


def get(ctx: Context, dataset_id: str) -> Dataset:
    """Return one data set.

    Raises:
        NotFoundError: There is none of that id.
    """
    with ctx.store.read() as tx:
        return _view(tx.datasets.get(dataset_id))


def listing(ctx: Context, *, limit: int, page_token: str | None) -> Page[Dataset]:
    """Return a page of data sets, newest first."""
    with ctx.store.read() as tx:
        records, token = tx.datasets.page(limit=limit, page_token=page_token)
    return Page[Dataset](items=tuple(_view(record) for record in records), next_page_token=token)


def profile_of(record: DatasetRecord) -> DatasetProfile:
    """Return the profile kept with a data set."""
    return DatasetProfile.model_validate(record.profile)


def profile(ctx: Context, dataset_id: str) -> DatasetProfile:
    """Return columns, target and warnings of a data set.

    Raises:
        NotFoundError: There is none of that id.
    """
    with ctx.store.read() as tx:
        return profile_of(tx.datasets.get(dataset_id))


def content(ctx: Context, dataset_id: str) -> StoredFile:
    """Return the stored content of a data set, a Parquet file.

    Raises:
        NotFoundError: There is none of that id.
        ConflictError: The stored file was altered (code `blob.digest_mismatch`).
    """
    with ctx.store.read() as tx:
        record = tx.datasets.get(dataset_id)
    return StoredFile(ctx.content.path(record.digest), record.digest, record.size_bytes, f"{record.digest}.parquet")


def delete(ctx: Context, dataset_id: str) -> None:
    """Delete a data set that no study uses.

    Raises:
        NotFoundError: There is none of that id.
        ConflictError: A study uses it.
    """
    with ctx.store.write() as tx:
        record = tx.datasets.get(dataset_id)
        n_studies = tx.studies.n_of_dataset(dataset_id)
        if n_studies:
            msg = f"data set {record.name!r} is used by {n_studies} studies; delete those first"
            raise ConflictError(msg, code="dataset.in_use")
        tx.datasets.delete(dataset_id)
    ctx.content.release([record.digest])
