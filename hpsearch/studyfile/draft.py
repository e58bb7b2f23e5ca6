"""Drafts: study definitions that are being written, read from YAML with every mistake and its line, never an error."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from hpsearch.domain.study import StudyDefinition
from hpsearch.errors import InvalidStudyError
from hpsearch.studyfile.validation_messages import validation_messages
from hpsearch.studyfile.yaml_reader import Document, Location, parse_yaml

# What messages of the reader call the text.
_SOURCE: Final = Path("the definition")
_MAX_SHOWN: Final = 20


@dataclass(frozen=True)
class Mistake:
    """One thing wrong with a draft.

    Attributes:
        line: From 1; None when it has no place.
        field: Dotted path; empty for the whole.
        message: One sentence.
    """

    line: int | None
    field: str
    message: str


@dataclass(frozen=True)
class Draft:
    """A definition that is being written.

    Attributes:
        definition: None while something is wrong.
        mistakes: What is wrong, in order of lines.
        document: The text as plain values with their lines; None when it is not YAML.
    """

    definition: StudyDefinition | None
    mistakes: tuple[Mistake, ...] = ()
    document: Document | None = None

    def mistake(self, field: str, message: str) -> Mistake:
        """Return a mistake in a field, found after the text was read."""
        line = None if self.document is None else self.document.line_of(_location(field))
        return Mistake(line, field, message)


def read_draft(text: str) -> Draft:
    """Return what a text of YAML says; whatever is wrong with it is a mistake, never an error."""
    try:
        document = parse_yaml(text, _SOURCE)
    except InvalidStudyError as error:
        return Draft(None, (_of_reader(error.message),))
    try:
        return Draft(StudyDefinition.model_validate(document.data), (), document)
    except ValidationError as error:
        found = validation_messages(error.errors(include_url=False), document.data, StudyDefinition, limit=_MAX_SHOWN)
        made = [Mistake(document.line_of(one.line_location), one.field, one.message) for one in found]
        made.sort(key=lambda one: one.line or 0)
        return Draft(None, tuple(made), document)


def _of_reader(message: str) -> Mistake:
    """Return the message of the reader as a mistake, its line taken out of its sentence."""
    prefix = f"{_SOURCE}, line "
    if message.startswith(prefix):
        number, _, rest = message.removeprefix(prefix).partition(": ")
        if number.isdigit():
            return Mistake(int(number), "", rest)
    return Mistake(None, "", message.removeprefix(f"{_SOURCE}: "))


def _location(field: str) -> Location:
    return tuple(int(step) if step.isdigit() else step for step in field.split(".") if step)
