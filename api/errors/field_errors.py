"""The `errors` of a problem document: one `{"field", "message"}` for each field that failed validation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from hpsearch.studyfile.validation_messages import sentence, validation_messages

MAX_SHOWN: Final = 50


def field_errors_of(error: ValidationError, received: Any, model: type[BaseModel]) -> list[dict[str, str]]:
    """Return `field_errors` of what pydantic found wrong with what was received for a model."""
    return field_errors(error.errors(include_url=False, include_input=False), received, model)


def field_errors(
    errors: Iterable[Mapping[str, Any]], received: Any, model: type[BaseModel] | None = None
) -> list[dict[str, str]]:
    """Return `{"field", "message"}` for each field at fault, at most fifty.

    Args:
        errors: As `ValidationError.errors()` gives them.
        received: What was validated: dicts, lists and scalars.
        model: It was validated as.
    """
    found = validation_messages(errors, received, model, limit=MAX_SHOWN + 1)
    made = [{"field": one.field, "message": one.message} for one in found]
    if len(made) > MAX_SHOWN:
        made[MAX_SHOWN:] = [{"field": "", "message": "there are more errors"}]
    return made


def summary(problems: list[dict[str, str]]) -> str:
    """Return the first error as one sentence, with the number of the others."""
    rest = len(problems) - 1
    return sentence(**problems[0]) + (f" (and {rest} more, see errors)" if rest else "")
