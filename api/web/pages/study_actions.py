"""What people do with a study from its page: pause, resume, stop, cancel, extend, retry, clone, try a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.app_state import Service, Shared
from api.errors.field_errors import field_errors_of, summary
from api.guard import Authenticated
from api.request_bodies.json_bodies import read_body
from api.request_parameters import StudyId
from api.web.page_routes import PageRoutes
from api.web.pages.study_points import point_of
from api.web.rendering import lead_to, page, wants_part
from hpsearch.domain.study import MAX_TRIALS
from hpsearch.errors import InvalidInputError
from hpsearch.service.context import Context
from hpsearch.service.studies import crud, steering
from hpsearch.wire.pages import StudyView
from hpsearch.wire.studies import CloneRequest, EnqueueRequest, ExtendRequest, StudyPatch

routes = PageRoutes("page")

_MAX_FORM_BYTES: Final = 64 * 1024
_MAX_FIELDS: Final = 100


def done(request: Request, text: str, address: str, *, leave: bool = False) -> Response:
    """Return the answer to a change that went well, for htmx or for a browser without scripts.

    Args:
        request: From a script (JSON), from htmx (a notice) or from the browser itself (another page).
        text: What was done, a sentence.
        address: Page to go to when the browser itself asked.
        leave: Go to that page in any case.
    """
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse(
            {"text": text, "address": address if leave else None}, headers={"Cache-Control": "no-store"}
        )
    if leave or not wants_part(request):
        return lead_to(request, address)
    headers = {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
    return page(request, "parts/notice.html", text=text, kind="good", headers=headers)


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form.

    Raises:
        InvalidInputError: There are too many of them.
        ProblemError: Those of `read_body`.
    """
    try:
        return dict(parse_qsl((await read_body(request)).decode("utf-8", "replace"), max_num_fields=_MAX_FIELDS))
    except ValueError:
        msg = f"a form of this page has at most {_MAX_FIELDS} fields"
        raise InvalidInputError(msg, code="form.invalid") from None


def _address(study_id: str) -> str:
    return f"/ui/studies/{study_id}"


def _steer(
    request: Request, ctx: Context, study_id: str, verb: Callable[[Context, str], StudyView], text: str
) -> Response:
    study = verb(ctx, study_id)
    return done(request, text.format(state=study.state.lower()), _address(study_id))


@routes.post("/ui/studies/{study_id}/pause", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
def pause_from_page(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Pause the study."""
    return _steer(request, ctx, study_id, steering.pause, "Paused. Running trials finish; no new ones start.")


@routes.post("/ui/studies/{study_id}/resume", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
def resume_from_page(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Resume the study."""
    return _steer(request, ctx, study_id, steering.resume, "Resumed.")


@routes.post("/ui/studies/{study_id}/stop", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
def stop_from_page(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Let the study end after its running trials."""
    return _steer(request, ctx, study_id, steering.stop, "The study is {state}.")


@routes.post("/ui/studies/{study_id}/cancel", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
def cancel_from_page(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """End the study now."""
    return _steer(request, ctx, study_id, steering.cancel, "Cancelled. What was finished stays.")


@routes.post("/ui/studies/{study_id}/retry-failed", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
def retry_failed_from_page(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Put the failed trials back into the queue."""
    n = steering.retry_failed(ctx, study_id).n_retried
    return done(request, f"{n} failed trial{'' if n == 1 else 's'} will be tried again.", _address(study_id))


@routes.post("/ui/studies/{study_id}/extend", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
async def extend_from_page(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Raise the number of search trials."""
    text = (await form_of(request)).get("max_trials", "").strip()
    digits = text.lstrip("0") or "0"
    if (
        not (text.isascii() and text.isdigit())
        or len(digits) > len(str(MAX_TRIALS))
        or not 1 <= int(digits) <= MAX_TRIALS
    ):
        msg = f"the number of search trials must be a whole number from 1 to {MAX_TRIALS:,}, received {text[:80]!r}"
        raise InvalidInputError(msg, code="extend.invalid")
    study = await run_in_threadpool(steering.extend, ctx, study_id, ExtendRequest(max_trials=int(digits)))
    return done(request, f"The search goes on to {study.budget.max_trials:,} trials.", _address(study_id))


@routes.post("/ui/studies/{study_id}/clone", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
async def clone_from_page(study_id: StudyId, request: Request, state: Shared, caller: Authenticated) -> Response:
    """Create a study with the same definition and go to its page."""
    name = (await form_of(request)).get("name", "").strip()
    try:
        wanted = CloneRequest(name=name or None)
    except ValueError:
        msg = "a name has 1 to 200 printable characters; choose another one"
        raise InvalidInputError(msg, code="clone.invalid") from None
    made = await state.compute_limit.run(steering.clone, state.context, caller, study_id, wanted)
    return done(request, "Cloned.", _address(made.study_id), leave=True)


@routes.post("/ui/studies/{study_id}/edit", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
async def edit_from_page(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Change the name, the notes and the labels."""
    form = await form_of(request)
    try:
        change = StudyPatch(
            name=form.get("name", "").strip(),
            notes=form.get("notes", "").replace("\r\n", "\n").strip(),
            labels=labels_of(form.get("labels", "")),
        )
    except ValidationError as error:
        msg = summary(field_errors_of(error, dict(form), StudyPatch))
        raise InvalidInputError(msg, code="edit.invalid") from None
    await run_in_threadpool(crud.patch, ctx, study_id, change)
    return done(request, "Saved.", _address(study_id), leave=True)


def labels_of(text: str) -> dict[str, str]:
    """Return the labels that a text such as `team=vision, goal=baseline` says.

    Raises:
        InvalidInputError: A part has no key or no value, or a key stands there twice.
    """
    labels: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if not key or not value or key in labels:
            msg = f"labels are key=value pairs separated by commas, each key once; received {part[:80]!r}"
            raise InvalidInputError(msg, code="labels.invalid")
        labels[key] = value
    return labels


def labels_text(labels: Mapping[str, str]) -> str:
    """Return labels as `labels_of` reads them."""
    return ", ".join(f"{key}={value}" for key, value in labels.items())


@routes.post("/ui/studies/{study_id}/delete", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
def delete_from_page(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Delete an ended study and go to the list."""
    crud.delete(ctx, study_id)
    return done(request, "Deleted.", "/ui/studies", leave=True)


@routes.post("/ui/studies/{study_id}/enqueue", scope="submit", max_body_bytes=_MAX_FORM_BYTES)
async def enqueue_from_page(study_id: StudyId, request: Request, ctx: Service, caller: Authenticated) -> Response:
    """Queue a point to be tried next."""
    form = await form_of(request)

    def enqueue() -> int:
        params = point_of(crud.get(ctx, study_id), form)
        return steering.enqueue(ctx, caller, study_id, EnqueueRequest(params=params)).number

    number = await run_in_threadpool(enqueue)
    return done(request, f"Queued as trial {number}; it is tried next.", _address(study_id))
