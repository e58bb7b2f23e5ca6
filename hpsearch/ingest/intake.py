"""Taking in a data set: an uploaded file, parsed in a process of its own, or a named set."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from hpsearch.domain.study import BUILTIN_DATASETS, GENERATED_DATASETS
from hpsearch.errors import NotFoundError
from hpsearch.ingest.parser_process import Limits, parse_apart

if TYPE_CHECKING:
    from pathlib import Path

    from hpsearch.domain.dataset import DatasetProfile
    from hpsearch.domain.task import TaskName


@dataclass(frozen=True)
class Ingested:
    """A data set ready to be stored.

    Attributes:
        content: Temporary Parquet file, inputs in profile order and the target last; the caller moves it away.
        profile: Of the content.
    """

    content: Path
    profile: DatasetProfile


def ingest_upload(
    path: Path, *, target: str | None, task: TaskName | None = None, limits: Limits | None = None
) -> Ingested:
    """Return the stored form of an uploaded CSV, Parquet or NPZ file.

    The file is parsed in a child process with limits on memory and time, so that a hostile one costs this process
    nothing. The content is written beside it.

    Args:
        path: The uploaded file; left as it is. Told apart by content, its name means nothing.
        target: Name of the target; None takes the one the file marks (`y` of an NPZ), else the last column.
        task: Overrides the inference from the target.
        limits: Of the child process; chosen by the size of the file when left out.

    Raises:
        InvalidDatasetError: It can not be read or used; nothing is left behind.
        OSError: There is no room for the stored form; nothing is left behind.
        UnavailableError: The child process could not be started; try again.
    """
    content = path.with_name(f"{uuid.uuid4().hex}.parquet")
    try:
        profile = parse_apart(path, content, target=target, task=task, limits=limits or Limits.for_file(path))
    except BaseException:
        content.unlink(missing_ok=True)
        raise
    return Ingested(content, profile)


def ingest_named(source: Literal["builtin", "generated"], name: str, directory: Path) -> Ingested:
    """Return the stored form of a built-in or generated data set.

    Args:
        source: Which of the two.
        name: Of `BUILTIN_DATASETS` or `GENERATED_DATASETS`.
        directory: Where the temporary content is written.

    Raises:
        NotFoundError: There is no such set.
    """
    from hpsearch.ingest.builtin import builtin
    from hpsearch.ingest.content import write_content
    from hpsearch.ingest.generated import generated

    known = BUILTIN_DATASETS if source == "builtin" else GENERATED_DATASETS
    if name not in known:
        msg = f"there is no {source} data set {name[:80]!r}; known are {', '.join(known)}"
        raise NotFoundError(msg, code="dataset.unknown")
    described = builtin(name) if source == "builtin" else generated(name)
    content = directory / f"{uuid.uuid4().hex}.parquet"
    write_content(described.frame, content)
    return Ingested(content, described.profile)
