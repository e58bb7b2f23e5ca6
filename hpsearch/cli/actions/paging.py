"""Pagination: the first items of a paged list, over as many pages as it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from hpsearch.wire.pages import Page

Item = TypeVar("Item")

# Items asked for at once; servers give no more than some hundreds.
_PER_REQUEST: Final = 200


def first(limit: int, fetch: Callable[[int, str | None], Page[Item]]) -> Page[Item]:
    """Return one page with the first ``limit`` items, and where to go on.

    Args:
        limit: Items wanted, at least 1.
        fetch: Returns a page of at most that many items after a page token.
    """
    page = fetch(min(limit, _PER_REQUEST), None)
    items = list(page.items)
    while page.next_page_token is not None and len(items) < limit:
        page = fetch(min(limit - len(items), _PER_REQUEST), page.next_page_token)
        items.extend(page.items)
    return page.model_copy(update={"items": tuple(items)})
