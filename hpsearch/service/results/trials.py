"""Reading trials: leaderboards, pages, measurements, histories, exports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.domain.trial import Params, Trial
from hpsearch.errors import InvalidInputError
from hpsearch.service.context import Context
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.storage.conditions import Wanted
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.trials import Ranked
from hpsearch.wire.pages import LeaderboardPage, LeaderboardRow, MeasurementView, Page, TrialView


def to_row(ranked: Ranked) -> LeaderboardRow:
    """Return a leaderboard row of a ranked result."""
    trial, confirmed = ranked.trial, ranked.confirmation or {}
    pairs = {name: tuple(confirmed[name]) for name in ("interval", "rank_interval") if confirmed.get(name)}
    return LeaderboardRow.model_construct(
        rank=ranked.rank,
        trial_id=trial.trial_id,
        number=trial.number,
        kind=trial.kind.value,
        params=trial.params,
        value=cast("float", trial.value),  # only results with a value are ranked
        metrics=trial.metrics,
        best_epoch=trial.best_epoch,
        epochs=trial.epochs,
        stop_reason=trial.stop_reason,
        n_weights=trial.n_weights,
        device_seconds=trial.device_seconds,
        duration_s=trial.duration_s,
        **{**confirmed, **pairs},
    )


def leaderboard(ctx: Context, study_id: str, *, limit: int = 50, page_token: str | None = None) -> LeaderboardPage:
    """Return a page of the ranked search and baseline results.

    Raises:
        NotFoundError: There is no such study.
        InvalidInputError: The limit or token is not valid.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        ranked, token = tx.trials.ranked(study.id, limit=limit, page_token=page_token)
    resolved = resolved_of(study)
    return LeaderboardPage(
        items=tuple(to_row(one) for one in ranked),
        next_page_token=token,
        metric=resolved.metric,
        direction=resolved.direction,
    )


def best_params(ctx: Context, study_id: str) -> Params | None:
    """Return the parameters of the best search trial, a point of the space; None before the first result.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        found = tx.trials.best_ids(tx.studies.get(study_id).id, 1, kinds=(TrialKind.SEARCH,))
        return tx.trials.by_id(found[0]).params if found else None


def leaderboard_etag(ctx: Context, study_id: str) -> str:
    """Return a tag that changes whenever a page of the leaderboard may have changed.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
    return f"{study.uid}-{study.version}"


def trials(
    ctx: Context,
    study_id: str,
    *,
    limit: int,
    page_token: str | None = None,
    state: str | None = None,
    kinds: Sequence[str] = (),
    sort: str = "number",
    order: str = "asc",
) -> Page[Trial]:
    """Return a page of a study's trials.

    Args:
        ctx: The server's parts.
        study_id: Whose trials.
        limit: Trials at most, 1 to 1,000.
        page_token: From the page before.
        state: Only trials in this state.
        kinds: Only trials of one of these kinds; empty for all.
        sort: number, value, epochs, device_seconds, duration_s, n_weights, created_at, or `param.` and the name of a
            parameter.
        order: asc or desc; trials without the value come last either way.

    Raises:
        NotFoundError: There is no such study.
        InvalidInputError: An argument is not one of those above.
    """
    check_choice(state, kinds, order)
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        found, token = tx.trials.page(
            study.id,
            limit=limit,
            page_token=page_token,
            sort=sort,
            descending=order == "desc",
            wanted=Wanted(() if state is None else (state,), tuple(kinds)),
            parameter=parameter_of(study, sort),
        )
    return Page[Trial](items=tuple(found), next_page_token=token)


def check_choice(state: str | None, kinds: Sequence[str], order: str) -> None:
    """Refuse states, kinds and orders that there are not.

    Raises:
        InvalidInputError: One is unknown.
    """
    checked: list[tuple[str, str | None, Sequence[str]]] = [("state", state, list(TrialState))]
    checked += [("kind", kind, list(TrialKind)) for kind in kinds]
    checked += [("order", order, ["asc", "desc"])]
    for name, value, known in checked:
        if value is not None and value not in known:
            msg = f"{name} must be one of {', '.join(known)}, received {value!r}"
            raise InvalidInputError(msg, code=f"{name}.invalid")


def parameter_of(study: StudyRecord, sort: str) -> tuple[str, bool] | None:
    """Return the parameter a sort such as `param.units` names, and whether it is a number; None for other sorts.

    Raises:
        InvalidInputError: The study has no such parameter.
    """
    if not sort.startswith("param."):
        return None
    name = sort.removeprefix("param.")
    parameter = definition_of(study).space.flat().get(name)
    if parameter is None:
        msg = f"sort names {name!r}, which is not a parameter of this study"
        raise InvalidInputError(msg, code="sort.invalid")
    values = parameter.values or ()
    return name, not any(isinstance(value, bool | str) for value in values)


def trial(ctx: Context, trial_id: str) -> TrialView:
    """Return a trial with its attempts.

    Raises:
        NotFoundError: There is no such trial.
    """
    with ctx.store.read() as tx:
        found = tx.trials.get(trial_id)
        attempts = tx.attempts.of_trial(tx.queue.look_up([trial_id])[trial_id].id)
    return TrialView.model_construct(**vars(found), attempts=tuple(attempts))


def measurements(
    ctx: Context, trial_id: str, *, attempt: int | None = None, limit: int = 1000, page_token: str | None = None
) -> Page[MeasurementView]:
    """Return every metric of every epoch of an attempt, the current one unless another is named.

    Raises:
        NotFoundError: There is no such trial.
        InvalidInputError: The limit or token is not valid.
    """
    with ctx.store.read() as tx:
        tx.trials.study_of(trial_id)
        queued = tx.queue.look_up([trial_id])[trial_id]
        number = queued.attempt if attempt is None else attempt
        rows, token = tx.attempts.measurements(queued.id, number, limit=limit, page_token=page_token)
    items = tuple(MeasurementView(attempt=number, epoch=epoch, metrics=metrics) for epoch, metrics in rows)
    return Page[MeasurementView](items=items, next_page_token=token)


def export_rows(ctx: Context, study_id: str) -> Iterator[dict[str, Any]]:
    """Yield every trial of a study as a flat row: facts, `param.…`, `metric.…`; reads page by page.

    Raises:
        NotFoundError: There is no such study.
    """
    token: str | None = None
    while True:
        page = trials(ctx, study_id, limit=1000, page_token=token)
        for one in page.items:
            plain = one.model_dump(mode="json", exclude={"params", "metrics"})
            yield {
                **plain,
                **{f"param.{name}": value for name, value in one.params.items()},
                **{f"metric.{name}": value for name, value in one.metrics.items()},
            }
        token = page.next_page_token
        if token is None:
            return
