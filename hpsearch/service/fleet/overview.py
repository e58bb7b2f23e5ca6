"""The fleet as people watch it: each worker with what it holds, how quick it is and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from hpsearch.service.context import Context
from hpsearch.service.fleet import workers as fleet
from hpsearch.storage.overview import HeldRow
from hpsearch.wire.workers import WorkerView

_HOUR_S = 3600.0
# Before it has been here for so long, results an hour say nothing.
_SETTLED_S = 10.0


@dataclass(frozen=True)
class WorkerSummary:
    """A worker as the fleet shows it.

    Attributes:
        view: As the API shows it.
        held: Trials it holds, in the order of their claims.
        results_per_hour: Since it registered; None when it came just now.
    """

    view: WorkerView
    held: tuple[HeldRow, ...]
    results_per_hour: float | None


@dataclass(frozen=True)
class FleetOverview:
    """A page of the fleet.

    Attributes:
        workers: Newest first.
        next_page_token: For the page after it; None at the end.
    """

    workers: tuple[WorkerSummary, ...]
    next_page_token: str | None


def fleet_overview(
    ctx: Context, *, limit: int, page_token: str | None = None, only_present: bool = True
) -> FleetOverview:
    """Return a page of the fleet, newest first.

    Args:
        ctx: The server's parts.
        limit: Workers at most, 1 to 1,000.
        page_token: From the page before.
        only_present: Leave out those without a heartbeat for a lease.

    Raises:
        InvalidInputError: The limit or token is not valid.
    """
    found = fleet.listing(ctx, limit=limit, page_token=page_token, only_present=only_present)
    with ctx.store.read() as tx:
        held: dict[str, list[HeldRow]] = {}
        for row in tx.overview.held([one.worker_id for one in found.items]):
            held.setdefault(row.worker_id, []).append(row)
        workers = tuple(
            WorkerSummary(
                view=one,
                held=tuple(held.get(one.worker_id, ())),
                results_per_hour=_results_per_hour(one),
            )
            for one in found.items
        )
    return FleetOverview(workers=workers, next_page_token=found.next_page_token)


def _results_per_hour(view: WorkerView) -> float | None:
    present_s = (view.last_seen_at - view.registered_at).total_seconds()
    return view.n_finished * _HOUR_S / present_s if present_s >= _SETTLED_S else None
