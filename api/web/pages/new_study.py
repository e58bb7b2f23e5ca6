"""A new study: from a data set over a proposal to a definition that is checked while it is written."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Shared
from api.errors.problem_documents import ProblemError
from api.guard import Authenticated
from api.web.forms import MAX_FORM_BYTES, form_fields
from api.web.page_routes import PageRoutes
from api.web.rendering import lead_to, page
from api.web.study_fields import ALGORITHMS, METRICS_OF, PARAMETERS, from_fields, to_fields
from hpsearch.domain.proposing import propose
from hpsearch.domain.study import BUILTIN_DATASETS, GENERATED_DATASETS, DatasetReference
from hpsearch.errors import InvalidInputError
from hpsearch.service import datasets
from hpsearch.service.context import Context
from hpsearch.service.studies import crud
from hpsearch.service.studies.preview import preview
from hpsearch.studyfile.draft import Mistake, read_draft
from hpsearch.studyfile.writer import as_yaml, shortest
from hpsearch.wire.studies import PreviewReply

_DATASETS_SHOWN: Final = 50
_KEY_BYTES: Final = 16
_WRONG: Final = 422
# Twelve lists of a thousand values.
_MAX_FIELDS_BYTES: Final = 128 * 1024

routes = PageRoutes("page")


@dataclass(frozen=True)
class Chosen:
    """What a new study starts from: one kind of data set, or another study's definition."""

    builtin: Annotated[str | None, Query(max_length=200, description="Name of a built-in data set.")] = None
    generated: Annotated[str | None, Query(max_length=200, description="Name of a generated data set.")] = None
    dataset: Annotated[str | None, Query(max_length=64, description="Id of an uploaded data set.")] = None
    study: Annotated[str | None, Query(max_length=64, description="Id of a study to begin from.")] = None

    def reference(self) -> DatasetReference:
        """Return the data set.

        Raises:
            ProblemError: 404, it is none or more than one.
        """
        given = {"builtin": self.builtin, "generated": self.generated, "id": self.dataset}
        try:
            return DatasetReference.model_validate({name: value for name, value in given.items() if value})
        except ValidationError:
            raise ProblemError(404, "dataset.not_found", "there is no such data set") from None


@routes.get("/ui/studies/new", scope="submit")
async def new_study_page(request: Request, state: Shared, chosen: Annotated[Chosen, Depends()]) -> Response:
    """Ask for the data set, or show the form for the chosen one."""
    return await state.compute_limit.run(_new_study, request, state.context, chosen)


def _new_study(request: Request, ctx: Context, chosen: Chosen) -> Response:
    if chosen == Chosen():
        known = datasets.listing(ctx, limit=_DATASETS_SHOWN, page_token=None)
        return page(
            request,
            "new_study.html",
            section="studies",
            builtin=BUILTIN_DATASETS,
            generated=GENERATED_DATASETS,
            uploaded=[one for one in known.items if one.source == "upload"],
        )
    if chosen.study is not None:
        definition = crud.get(ctx, chosen.study).definition
        raw, reference = shortest(definition), definition.dataset
        raw["name"] = f"{definition.name} (again)"[:200]
        reasons: dict[str, str] = {}
        record = datasets.named(ctx, reference)
        profile = datasets.profile_of(record)
    else:
        reference = chosen.reference()
        record = datasets.named(ctx, reference)
        profile = datasets.profile_of(record)
        proposal = propose(profile, _plain(reference), name=record.name)
        raw, reasons = proposal.definition, {one.field: one.why for one in proposal.reasons}
    text = as_yaml(raw)
    return page(
        request,
        "new_study_form.html",
        section="studies",
        dataset=datasets.get(ctx, record.uid),
        profile=profile,
        reference=_plain(reference),
        fields=to_fields(raw),
        by_hand=chosen.study is not None,
        reasons=reasons,
        parameters=PARAMETERS,
        metrics=METRICS_OF[profile.task],
        algorithms=ALGORITHMS,
        key=secrets.token_urlsafe(_KEY_BYTES),
        **_checked(ctx, text),
    )


def _plain(reference: DatasetReference) -> dict[str, str]:
    return {name: str(value) for name, value in reference.model_dump(exclude_none=True).items()}


@routes.post("/ui/studies/new/compose", scope="submit", max_body_bytes=_MAX_FIELDS_BYTES)
async def compose_study_part(request: Request, state: Shared) -> Response:
    """Write the definition that the form's fields say, and check it."""
    fields = await form_fields(request)
    dataset = {fields.get("dataset.kind", ""): fields.get("dataset.value", "")}

    def compose() -> Response:
        text = as_yaml(from_fields(fields, dataset, fields.get("task", "")))
        return page(request, "parts/composed.html", **_checked(state.context, text))

    return await state.compute_limit.run(compose)


@routes.post("/ui/studies/new/check", scope="submit", max_body_bytes=MAX_FORM_BYTES)
async def check_study_part(request: Request, state: Shared) -> Response:
    """Check a definition, and tell what it would do."""
    text = (await form_fields(request)).get("yaml", "")
    return page(request, "parts/draft.html", **await state.compute_limit.run(_checked, state.context, text))


@routes.post("/ui/studies", scope="submit", max_body_bytes=MAX_FORM_BYTES)
async def create_study_page(request: Request, state: Shared, caller: Authenticated) -> Response:
    """Create the study of a definition and lead to its page; the same form twice makes one study."""
    fields = await form_fields(request)
    text, key = fields.get("yaml", ""), fields.get("key", "")
    draft = await state.compute_limit.run(read_draft, text)
    if draft.definition is None:
        return _refused(request, text, draft.mistakes)
    # A form that is sent again after a change means another study.
    once = hashlib.sha256(f"{key}\n{text}".encode()).hexdigest() if key else None
    try:
        made = await state.compute_limit.run(crud.create, state.context, caller, draft.definition, idempotency_key=once)
    except InvalidInputError as error:
        field = str(error.details.get("field", ""))
        return _refused(request, text, (draft.mistake(field, error.message),))
    return lead_to(request, f"/ui/studies/{made.study_id}")


def _refused(request: Request, text: str, mistakes: tuple[Mistake, ...]) -> Response:
    headers = {"HX-Retarget": "#preview", "HX-Reswap": "innerHTML"}
    return page(request, "parts/draft.html", status=_WRONG, headers=headers, **_values(text, mistakes, None))


def _checked(ctx: Context, text: str) -> dict[str, Any]:
    """Return a definition's text with what is wrong with it, or with what it would do."""
    draft = read_draft(text)
    if draft.definition is None:
        return _values(text, draft.mistakes, None)
    found = preview(ctx, draft.definition)
    mistakes = tuple(draft.mistake(one.field, one.message) for one in found.errors)
    return _values(text, mistakes, found if found.valid else None)


def _values(text: str, mistakes: tuple[Mistake, ...], found: PreviewReply | None) -> dict[str, Any]:
    sample = () if found is None else found.sample
    names = dict.fromkeys(name for one in sample for name in one.params)
    # What is the same in all of them is in the definition anyway.
    columns = [name for name in names if len({repr(one.params.get(name)) for one in sample}) > 1]
    return {"yaml": text, "mistakes": mistakes, "preview": found, "columns": columns}
