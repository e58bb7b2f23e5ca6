"""Per-token limit: how many uploads or event streams may be open at the same time, in all and for each token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.errors.problem_documents import ProblemError


class PerTokenLimit:
    """A number of places, for all tokens together and for each.

    Args:
        what: Named in the error, plural.
        total: Places in all.
        each: Places one token may take.
    """

    def __init__(self, what: str, *, total: int, each: int) -> None:
        self._what, self._total, self._each = what, total, each
        self._taken: Counter[str] = Counter()

    @property
    def n_taken(self) -> int:
        """Places in use."""
        return self._taken.total()

    @contextmanager
    def place(self, token_id: str) -> Iterator[None]:
        """Hold a place for the body.

        Raises:
            ProblemError: 429, all places are taken.
        """
        if self.n_taken >= self._total or self._taken[token_id] >= self._each:
            detail = f"too many open {self._what}: at most {self._each} for one token and {self._total} in all"
            raise ProblemError(429, "limit.reached", detail, headers={"Retry-After": "5"})
        self._taken[token_id] += 1
        try:
            yield
        finally:
            self._taken[token_id] -= 1
            self._taken += Counter()  # drops the tokens without any
