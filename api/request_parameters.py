"""Parameters that many routes share: ids, pages, idempotency keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Path, Query

_ID = {"max_length": 64, "pattern": r"^[A-Za-z0-9_-]+$"}

StudyId = Annotated[str, Path(description="Of the study.", **_ID)]
TrialId = Annotated[str, Path(description="Of the trial.", **_ID)]
WorkerId = Annotated[str, Path(description="Of the worker, from its registration.", **_ID)]
DatasetId = Annotated[str, Path(description="Of the data set.", **_ID)]
TokenId = Annotated[str, Path(description="Of the token, not the token itself.", **_ID)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        description="Chosen by the client, new for each object it means to create; 1 to 200 printable ASCII signs.",
        min_length=1,
        max_length=200,
        pattern=r"^[ -~]+$",
    ),
]


@dataclass(frozen=True)
class Paging:
    """Which part of a list is wanted."""

    limit: Annotated[int, Query(ge=1, le=1000, description="Items at most, 1 to 1,000.")] = 50
    page_token: Annotated[
        str | None,
        Query(max_length=2000, pattern=r"^[A-Za-z0-9_-]+$", description="`next_page_token` of the page before."),
    ] = None


Page = Annotated[Paging, Depends()]
