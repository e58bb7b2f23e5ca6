"""The card inside a model file: what it predicts, from which columns, how well; read without Keras."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError

from hpsearch.domain.dataset import ColumnKind
from hpsearch.domain.metrics import Direction
from hpsearch.domain.selection import Selection
from hpsearch.domain.strict import Count, Float, Lenient
from hpsearch.domain.task import TaskName
from hpsearch.domain.trial import Params
from hpsearch.errors import InvalidInputError

CARD_MEMBER: Final = "hpsearch.json"
CARD_VERSION: Final = 1

# A card lists columns and categories; the largest honest one is far below this.
_MAX_CARD_BYTES: Final = 256 * 2**20


class CardColumn(Lenient):
    """One column the model reads.

    Attributes:
        name: As in the data set.
        kind: `real`, `binary` or `categorical`.
        input: Name of its input when the model takes a dictionary; None when it takes one matrix.
        categories: The values known to the model; any other counts as unknown.
    """

    name: str
    kind: ColumnKind
    input: str | None = None
    categories: tuple[str, ...] = ()


MAX_CLASSES: Final = 64
MAX_PAIRS: Final = 1000
_Pairs = Annotated[tuple[Float, ...], Field(max_length=MAX_PAIRS)]
_Counts = Annotated[tuple[Count, ...], Field(max_length=MAX_CLASSES)]


class Evaluation(Lenient):
    """What a model gets right and wrong on the rows it is judged by (the card's `judged_on`).

    Attributes:
        n_rows: How many rows.
        confusion: For classifiers: rows by true class, in each the rows by predicted class, in the order of the card's
            classes; the larger probability decides. Empty for regression.
        truth: For regression: true values in the target's unit, at most 1,000, rising, drawn evenly over all rows.
        errors: Prediction minus true value, for the same rows.
    """

    n_rows: Count
    confusion: Annotated[tuple[_Counts, ...], Field(max_length=MAX_CLASSES)] = ()
    truth: _Pairs = ()
    errors: _Pairs = ()


class ModelCard(Lenient):
    """What a model file says about itself.

    Attributes:
        version: Of this format.
        hpsearch_version: That wrote the file.
        task: What is predicted.
        target: Name of the predicted column.
        classes: Labels in the order of the outputs; empty for regression. A binary model's one output is the
            probability of the second.
        form: `matrix`: one float input (n, n_columns), NaN where missing, columns in the order of `columns`.
            `columns`: a dictionary of one (n, 1) input per column; text columns are strings, "" where missing.
        columns: In input order.
        metric: The objective of the study.
        direction: Which way is better.
        value: What the trial reported.
        metrics: All it reported at its best epoch.
        judged_on: The rows behind `value`.
        n_judged_rows: How many rows are behind `value`; None in older files.
        trained_on: The rows behind the weights.
        selection: Of a refitted model: what the search knew of its configuration, on validation rows. None for others,
            whose `value` is what they were chosen for.
        evaluation: What it gets right and wrong on the rows behind `value`; None where these are several folds', with
            more than 64 classes, and in older files.
        usage: A sentence for people who hold only the file.
    """

    version: int = CARD_VERSION
    hpsearch_version: str
    study_id: str
    study_name: str
    trial_id: str
    trial_number: int
    trial_kind: str
    dataset_digest: str
    task: TaskName
    target: str
    classes: tuple[str, ...] = ()
    form: Literal["matrix", "columns"]
    columns: tuple[CardColumn, ...]
    params: Params
    seed: int
    n_weights: int
    n_training_rows: int
    best_epoch: int
    metric: str
    direction: Direction
    value: float
    metrics: dict[str, float | None] = {}
    judged_on: str
    n_judged_rows: int | None = None
    trained_on: str
    selection: Selection | None = None
    evaluation: Evaluation | None = None
    usage: str


def write_card(path: Path, card: ModelCard) -> None:
    """Add the card to a model file.

    Args:
        path: A `.keras` file without a card.
        card: What to add.
    """
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CARD_MEMBER, card.model_dump_json(indent=1))


def read_card(path: Path, *, max_bytes: int = _MAX_CARD_BYTES) -> ModelCard:
    """Return the card of a model file.

    Args:
        path: A `.keras` file that hpsearch wrote.
        max_bytes: A larger card is not read.

    Raises:
        InvalidInputError: The file can not be opened, is no model file, or holds no card that can be understood.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(CARD_MEMBER)
            if member.file_size > max_bytes:
                raise _complaint(path, f"its card claims {member.file_size} bytes")
            raw = archive.read(member)
    except FileNotFoundError as error:
        msg = f"there is no model file {str(path)!r}; give the path of a .keras file"
        raise InvalidInputError(msg, code="model.missing") from error
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise _complaint(path, "it can not be opened as a .keras file") from error
    except KeyError as error:
        raise _complaint(path, "it holds no card") from error
    try:
        version = json.loads(raw).get("version")
        if not isinstance(version, int) or version > CARD_VERSION:
            raise _complaint(path, f"its card has version {version!r}, known is {CARD_VERSION}; use a newer hpsearch")
        return ModelCard.model_validate_json(raw)
    except (ValueError, AttributeError, ValidationError) as error:
        raise _complaint(path, "its card is damaged") from error


def _complaint(path: Path, why: str) -> InvalidInputError:
    msg = f"{str(path)!r} is not a model that hpsearch wrote: {why}"
    return InvalidInputError(msg, code="model.invalid")
