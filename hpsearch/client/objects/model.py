"""Model: a model file as an object that takes raw rows and gives labels."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpsearch import _layout
from hpsearch.client.checked import checked, checked_call
from hpsearch.client.files import opened
from hpsearch.client.frames import frame_of
from hpsearch.client.objects.markup import facts_html
from hpsearch.client.objects.quiet import quiet
from hpsearch.domain.task import TASKS
from hpsearch.errors import HpsearchError, InvalidInputError
from hpsearch.model_card import ModelCard, read_card

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_PREDICT: Final = "workers.training.model_files.predict"
_EXPECTED: Final = (
    "a pandas or polars data frame with the model's columns, a numpy array whose columns are theirs in order, or a "
    "dictionary of columns"
)
_NAME: Final = "model.keras"


@checked
class Model:
    """A model file, read whole; Keras is imported at the first prediction.

    It can be pickled: the file goes along.

    Attributes:
        card: What the file says of itself: task, columns, classes, score.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._keras: Any = None
        with self._file() as path:
            self.card: ModelCard = read_card(path)

    @property
    def classes(self) -> tuple[str | int | bool, ...]:
        """The labels `predict` gives, in the order of `predict_proba`'s columns; empty for regression.

        Labels that are all whole numbers are numbers, `true` and `false` are truth values, all else is text: a data set
        keeps its labels as texts, and so does the file.
        """
        return labels(self.card.classes)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, in the order of a matrix."""
        return tuple(column.name for column in self.card.columns)

    @property
    def keras(self) -> Any:
        """The plain `keras.Model` in the file; it takes raw rows in the form `card.form` names.

        Raises:
            HpsearchError: Keras is not installed; the message says how to install it.
        """
        if self._keras is None:
            os.environ.setdefault("KERAS_BACKEND", "tensorflow")
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's greetings
            with quiet(), self._file() as path:
                self._keras = _predicting().load_model(path)
        return self._keras

    def predict(self, rows: Any) -> npt.NDArray[Any]:
        """Return the likeliest label of each row, or the predicted number: (n_rows,).

        Args:
            rows: A pandas or polars data frame with the model's columns, by name and in any order, others are ignored;
                a numpy array (n_rows, n_columns) with the columns in order, of numbers or texts; or a dictionary of
                columns. Missing values are None or NaN.

        Raises:
            InvalidInputError: Columns are missing, or texts stand where the model reads numbers.
        """
        import numpy as np

        outputs = self._outputs(rows, "Model.predict")
        if not TASKS[self.card.task].has_classes:
            return outputs[:, 0]
        predicted: npt.NDArray[Any] = np.asarray(self.classes)[outputs.argmax(axis=1)]
        return predicted

    def predict_proba(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the probability of each class for each row: (n_rows, n_classes), in the order of `classes`.

        Args:
            rows: As for `predict`.

        Raises:
            InvalidInputError: The model predicts numbers, or as for `predict`.
        """
        if not TASKS[self.card.task].has_classes:
            msg = "Model.predict_proba: this model predicts a number, which has no probabilities; use predict"
            raise InvalidInputError(msg, code="predict.no_classes")
        return self._outputs(rows, "Model.predict_proba")

    def save(self, path: str | Path) -> Path:
        """Write the `.keras` file, and return its path.

        Raises:
            HpsearchError: It can not be written.
        """
        target = Path(path).expanduser()
        try:
            target.write_bytes(self._content)
        except OSError as error:
            msg = f"{target} can not be written: {(error.strerror or str(error)).lower()}"
            raise HpsearchError(msg, code="file.unwritable") from None
        return target

    def _outputs(self, rows: Any, function: str) -> npt.NDArray[np.float64]:
        frame = frame_of(rows, what=f"{function}: rows", expected=_EXPECTED, names=self.columns)
        predicting = _predicting()
        raw = predicting.raw_rows(self.card, frame, typed=True)
        outputs: npt.NDArray[np.float64] = predicting.outputs_of(self.card, self.keras, raw)
        return outputs

    def _file(self) -> _TemporaryModel:
        return _TemporaryModel(self._content)

    def __getstate__(self) -> dict[str, Any]:
        return {"_content": self._content, "card": self.card, "_keras": None}

    def __repr__(self) -> str:
        card = self.card
        what = f"{len(card.classes)} classes of {card.target!r}" if card.classes else f"{card.target!r}"
        return f"<Model of {what} from {len(card.columns)} columns: {card.metric} {card.value:.4g} on {card.judged_on}>"

    def _repr_html_(self) -> str:
        card = self.card
        facts: list[tuple[str, object]] = [
            ("predicts", card.target), ("task", card.task), ("columns", len(card.columns)), ("weights", card.n_weights),
            (card.metric, card.value), ("judged on", card.judged_on), ("trained on", card.trained_on),
        ]  # fmt: skip
        return facts_html(f"Model of {card.study_name}", facts)


@checked_call
def load(path: str | Path) -> Model:
    """Return the model of a `.keras` file that hpsearch wrote; no server is needed.

    Raises:
        InvalidInputError: There is no such file, or it is none of ours.
    """
    read_card(Path(path).expanduser())
    with opened(path) as file:
        return Model(file.read())


def downloaded(download: Callable[[Path], object]) -> Model:
    """Return the model that a download writes to a path."""
    with tempfile.TemporaryDirectory(prefix="hpsearch-model-") as folder:
        path = Path(folder) / _NAME
        download(path)
        return Model(path.read_bytes())


def labels(classes: tuple[str, ...]) -> tuple[str | int | bool, ...]:
    """Return the labels of a data set as a person means them: whole numbers and truth values where all are such."""
    if all(_is_whole(label) for label in classes):
        return tuple(int(label) for label in classes)
    if set(classes) <= {"true", "false"}:
        return tuple(label == "true" for label in classes)
    return classes


def _is_whole(label: str) -> bool:
    digits = label.removeprefix("-")
    return digits.isascii() and digits.isdecimal() and str(int(label)) == label


def _predicting() -> Any:
    return _layout.load(_PREDICT)


class _TemporaryModel:
    """The file as Keras wants it: on disk, under a name that ends in `.keras`, for the length of a block."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __enter__(self) -> Path:
        self._folder = tempfile.TemporaryDirectory(prefix="hpsearch-model-")
        path = Path(self._folder.name) / _NAME
        path.write_bytes(self._content)
        return path

    def __exit__(self, *_error: object) -> None:
        self._folder.cleanup()
