"""Builds a study definition from the arguments of a Python program, with the data on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hpsearch.client.checked import unfit
from hpsearch.client.datasets import Datasets
from hpsearch.domain.dataset import Dataset
from hpsearch.domain.study import BUILTIN_DATASETS, GENERATED_DATASETS, StudyDefinition
from hpsearch.errors import InvalidInputError, InvalidStudyError

_DATASET: Final = "dataset"


def definition_of(
    datasets: Datasets,
    definition: Mapping[str, Any] | StudyDefinition | None,
    data: Any,
    y: Any,
    target: str | None,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a definition as JSON values, its data uploaded if they are not on the server yet.

    Args:
        datasets: Of the server.
        definition: As given; None when all is in `fields`.
        data: Rows, a data set, or the name of a built-in one; None when the definition has its data set.
        y: The target of the rows.
        target: Column to predict.
        fields: Of the definition, beside the given one's.

    Raises:
        InvalidStudyError: No data, or data twice.
        InvalidInputError: The data can not be used.
    """
    given: Mapping[str, Any]
    if isinstance(definition, StudyDefinition):
        given = definition.model_dump(exclude_unset=True, mode="json")
    else:
        given = definition or {}
    twice = sorted(set(given) & set(fields))
    if twice:
        msg = f"{', '.join(twice)} stands in the definition and beside it; give it once"
        raise InvalidStudyError(msg)
    whole = dict(given) | dict(fields)
    if data is not None:
        if _DATASET in whole:
            msg = "the definition has a dataset, and data were passed too; give one of them"
            raise InvalidStudyError(msg)
        whole[_DATASET] = reference(datasets, data, y, target, name=whole.get("name"))
    elif _DATASET not in whole:
        msg = "a study needs data: pass data=… (a frame, an array, a file) or dataset={'builtin': 'digits'}"
        raise InvalidStudyError(msg)
    elif y is not None or target is not None:
        msg = "target and y belong to data that are passed; a dataset on the server has its target already"
        raise InvalidInputError(msg, code="argument.invalid")
    return whole


def reference(datasets: Datasets, data: Any, y: Any, target: str | None, *, name: Any = None) -> dict[str, str]:
    """Return how a definition names the data, after uploading them if they are rows or a file."""
    if isinstance(data, Dataset):
        if target not in (None, data.target):
            raise unfit(target, f"{data.target!r}, the data set's own", what="Client.create: target")
        return {"id": data.dataset_id}
    if isinstance(data, str) and data in BUILTIN_DATASETS:
        return {"builtin": data}
    if isinstance(data, str) and data in GENERATED_DATASETS:
        return {"generated": data}
    named = name if isinstance(name, str) and not isinstance(data, str) else None
    return {"id": datasets.upload(data, y, name=named, target=target).dataset_id}
