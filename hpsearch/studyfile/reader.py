"""Reads study files into a StudyDefinition, with errors that name the file, the line, the field and the value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from hpsearch.domain.study import StudyDefinition
from hpsearch.errors import InvalidStudyError
from hpsearch.studyfile.validation_messages import sentence, validation_messages
from hpsearch.studyfile.yaml_reader import Document, read_yaml

_MAX_SHOWN: Final = 20
# Stands for the data set's id while the file is checked, before anything is uploaded.
_PENDING: Final = "to-be-uploaded"


@dataclass(frozen=True)
class Upload:
    """A data file that a study names by its path.

    Attributes:
        path: Absolute.
        target: Column to predict; None leaves it to the server.
        name: For people.
    """

    path: Path
    target: str | None
    name: str


@dataclass(frozen=True)
class StudyFile:
    """A checked study file.

    Attributes:
        path: As the user gave it.
        upload: The data file to upload first; None when the data are already on the server.
    """

    path: Path
    document: Document
    upload: Upload | None

    def definition(self, dataset_id: str | None = None) -> StudyDefinition:
        """Return the definition, with the uploaded data set's id in place of the path.

        Raises:
            InvalidStudyError: Fields are missing, unknown or impossible; one line for each.
        """
        raw = self.document.data
        if self.upload is not None:
            raw = raw | {"dataset": {"id": dataset_id or _PENDING}}
        try:
            return StudyDefinition.model_validate(raw)
        except ValidationError as error:
            raise InvalidStudyError(self._sentences(error)) from None

    def _sentences(self, error: ValidationError) -> str:
        messages = validation_messages(error.errors(include_url=False), self.document.data, StudyDefinition)
        found = [
            (self.document.line_of(one.line_location), sentence(one.field, one.message, whole="the definition"))
            for one in messages
        ]
        found.sort(key=lambda one: one[0] or 0)
        lines = [f"{self.path}{f', line {line}' if line else ''}: {text}" for line, text in found]
        if len(lines) > _MAX_SHOWN:
            lines[_MAX_SHOWN:] = [f"… and {len(lines) - _MAX_SHOWN} more"]
        return "\n".join(lines)


def load_study(path: Path) -> StudyFile:
    """Return the study in a YAML or JSON file, checked as far as that goes without a server.

    Raises:
        InvalidStudyError: The file, a field in it or the data file it names can not be used.
    """
    document = read_yaml(path)
    study = StudyFile(path, document, _upload_of(path, document))
    study.definition()
    return study


def _upload_of(path: Path, document: Document) -> Upload | None:
    dataset: Any = document.data.get("dataset")
    if not isinstance(dataset, dict) or "path" not in dataset:
        return None

    def fail(field: str, problem: str) -> InvalidStudyError:
        line = document.line_of(("dataset", field))
        msg = f"{path}, line {line}: dataset.{field} {problem}"
        return InvalidStudyError(msg, code="study.invalid")

    for field, value in dataset.items():
        if field not in ("path", "target", "name"):
            raise fail(field, f"is not known beside path; known are path, target and name, received {value!r}")
        if not isinstance(value, str) or not value:
            raise fail(field, f"must be text, received {value!r}")
    file = (path.parent / Path(dataset["path"]).expanduser()).absolute()
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        refusal = fail("path", f"must be a CSV, Parquet or NPZ file, found {found} at {file}")
        raise refusal
    return Upload(file, dataset.get("target"), dataset.get("name") or file.stem)
