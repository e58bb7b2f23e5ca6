"""Pagination: iterates over the items of all pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from hpsearch.wire.pages import Page

Item = TypeVar("Item")


def walk(fetch: Callable[[str | None], Page[Item]]) -> Iterator[Item]:
    """Iterate over the items of all pages.

    Args:
        fetch: Returns the page of a token; None is the first.
    """
    token: str | None = None
    while True:
        page = fetch(token)
        yield from page.items
        token = page.next_page_token
        if token is None:
            return
