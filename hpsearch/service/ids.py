"""Fresh public ids and the seeds that follow from a study's own."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from uuid_utils import compat


def new_uid() -> str:
    """Return a fresh id that sorts by time of creation (UUID version 7, RFC 9562)."""
    return str(compat.uuid7())


def derived_seed(seed: int, *parts: object) -> int:
    """Return a seed from 0 to 2**31 - 1 that depends on the study's seed and the parts alone."""
    text = ":".join(str(part) for part in (seed, *parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of keys, in hex."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
