"""The page of one trial: parameters, attempts, curves, why it stopped, its model, and training it again."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service, Shared
from api.event_streams import query
from api.guard import Authenticated
from api.request_parameters import TrialId
from api.responses import file_response
from api.web.json_data import data_response
from api.web.live_fragments import live_stream
from api.web.page_routes import PageRoutes
from api.web.pages.study_actions import done
from api.web.pages.study_curves import Curves, curves_of
from api.web.rendering import Rights, page, text_of
from hpsearch.domain.lifecycle import FINAL, TrialState
from hpsearch.domain.trial import Params
from hpsearch.service.context import Context
from hpsearch.service.results import models, trials
from hpsearch.service.studies import crud, steering, study_snapshot
from hpsearch.wire.pages import TrialView
from hpsearch.wire.studies import EnqueueRequest
from hpsearch.wording.trials import kind_of_trial

routes = PageRoutes("page")

_NOBODY: Final = Rights(None)
_STOPPED: Final = {
    "early_stopping": "It stopped by itself: the objective had not improved for as many epochs as the study waits.",
    "max_epochs": "It ran to the study's last epoch.",
    "pruned": "The study stopped it early: others were better at the same epoch.",
    "diverged": "Its loss became infinite or not a number.",
    "cancelled": "Somebody stopped it, or its study.",
}
_CAUSES: Final = {
    "diverged": "Its loss became infinite or not a number. That is a result: such points are avoided.",
    "oom": "It did not fit into the device's memory.",
    "training_error": "Training raised an error; the text below is its own.",
    "crashed": "The worker's training process died.",
    "stalled": "Training made no progress for too long.",
    "shutdown": "The worker was told to go; the trial went back unharmed.",
    "data_mismatch": "The worker's copy of the data did not match.",
    "data_missing": "The worker could not get the data; the trial went back unharmed.",
    "disk_full": "The worker's disk was full.",
    "infrastructure": "The worker's machine had a fault; the trial went back unharmed.",
    "lost": "The worker was not heard of for longer than its lease.",
    "lost_repeatedly": "It was lost again and again: one worker after the other died or went silent with it.",
    "cancelled": "Somebody stopped it, or its study.",
    "unsupported": "The worker can not train this kind of network.",
}


def _values(ctx: Context, trial_id: str) -> dict[str, Any]:
    trial = trials.trial(ctx, trial_id)
    study = crud.get(ctx, trial.study_id)
    return {
        "trial": trial,
        "study": study,
        "kind": kind_of_trial(trial.kind.value, trial.params),
        "last_epoch": study_snapshot.last_epoch(ctx, trial_id),
        "repeats": study_snapshot.repeats(ctx, trial_id),
        "why": _why(trial),
        "causes": _CAUSES,
        "can_retry": trial.state is TrialState.FAILED and study.state not in ("CANCELLED", "STOPPING"),
        "can_repeat": trial.state in FINAL
        and trial.state is not TrialState.FAILED
        and study.state in ("RUNNING", "PAUSED")
        and study.end_reason is None,
        "can_stop": trial.state not in FINAL,
    }


def _why(trial: TrialView) -> str | None:
    """Return why the trial stopped, in a sentence; None while it has not."""
    if trial.cause is not None and trial.state in FINAL:
        return _CAUSES.get(trial.cause, trial.cause)
    return _STOPPED.get(trial.stop_reason or "", trial.stop_reason)


@routes.get("/ui/trials/{trial_id}", scope="read")
def trial_page(trial_id: TrialId, request: Request, ctx: Service) -> Response:
    """Show a trial."""
    return page(request, "trial.html", section="studies", **_values(ctx, trial_id))


@routes.get("/ui/trials/{trial_id}/actions", scope="read")
def trial_actions(trial_id: TrialId, request: Request, ctx: Service) -> Response:
    """Show what can be done with the trial in its present state."""
    return page(request, "trial/actions.html", **_values(ctx, trial_id))


@routes.get("/ui/trials/{trial_id}/live", scope="read")
async def trial_live(trial_id: TrialId, request: Request, state: Shared) -> Response:
    """Send the trial's facts whenever they change."""

    def draw(context: Context) -> str:
        return text_of("trial/live.html", _NOBODY, **_values(context, trial_id))

    trial: TrialView = await query(state, trials.trial, trial_id)  # 404 comes before the stream begins
    wait = partial(state.context.signals.wait_for_change, trial.study_id)
    return await live_stream(request, ("trial", trial_id), draw, wait)


@routes.get("/ui/trials/{trial_id}/data/curves", scope="read", response_model=Curves)
def trial_curves(trial_id: TrialId, request: Request, ctx: Service) -> Response:
    """Return every metric of every epoch."""
    trials.trial(ctx, trial_id)
    return data_response(request, lambda: curves_of(ctx, [trial_id]))


@routes.get("/ui/trials/{trial_id}/model", scope="read")
def trial_model(trial_id: TrialId, request: Request, ctx: Service) -> Response:
    """Download the trial's model, as long as it is kept."""
    return file_response(request, models.of_trial(ctx, trial_id))


@routes.post("/ui/trials/{trial_id}/stop", scope="submit", max_body_bytes=1024)
def stop_trial_from_page(trial_id: TrialId, request: Request, ctx: Service) -> Response:
    """End the trial without a result."""
    trial = steering.stop_trial(ctx, trial_id)
    return done(request, f"Trial {trial.number} is stopped.", f"/ui/trials/{trial_id}")


@routes.post("/ui/trials/{trial_id}/again", scope="submit", max_body_bytes=1024)
def train_again_from_page(trial_id: TrialId, request: Request, ctx: Service, caller: Authenticated) -> Response:
    """Put a failed trial back into the queue, or try the point of another one as a new trial."""
    trial = trials.trial(ctx, trial_id)
    if trial.state is TrialState.FAILED:
        steering.retry_trial(ctx, trial_id)
        return done(request, f"Trial {trial.number} will be tried again.", f"/ui/trials/{trial_id}")
    made = steering.enqueue(ctx, caller, trial.study_id, EnqueueRequest(params=_point(ctx, trial)))
    return done(request, f"Queued as trial {made.number}.", f"/ui/trials/{made.trial_id}", leave=True)


def _point(ctx: Context, trial: TrialView) -> Params:
    """Return the searched parameters of a trial; fixed ones are filled in by the study."""
    searched = crud.get(ctx, trial.study_id).definition.space.flat()
    return {name: value for name, value in trial.params.items() if name in searched}
