"""What the model of a study gets right and wrong: from the card inside its file."""

from __future__ import annotations

from typing import Final

from hpsearch.errors import ConflictError, InvalidInputError, NotFoundError
from hpsearch.lru_cache import LruCache
from hpsearch.model_card import ModelCard, read_card
from hpsearch.service.context import Context
from hpsearch.service.results import models

# The card of a model with thousands of columns is larger; it is not shown.
_MAX_CARD_BYTES: Final = 8 * 2**20

_cards: LruCache[tuple[str, int], ModelCard | None] = LruCache(64)


def card_of_study(ctx: Context, study_id: str) -> ModelCard | None:
    """Return the card of the model that a study hands out; None while there is none, or none that can be read.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
    return _cards.get((study.uid, study.version), lambda: _read(ctx, study_id))


def _read(ctx: Context, study_id: str) -> ModelCard | None:
    try:
        return read_card(models.of_study(ctx, study_id).path, max_bytes=_MAX_CARD_BYTES)
    except (NotFoundError, ConflictError, InvalidInputError):
        return None
