"""The final model on the page of its study: what it gets right and wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from api.app_state import Service
from api.request_parameters import StudyId
from api.web import svg
from api.web.formatting import count
from api.web.page_routes import PageRoutes
from api.web.rendering import page
from hpsearch.model_card import ModelCard
from hpsearch.service.context import Context
from hpsearch.service.results import evaluation
from hpsearch.wire.pages import StudyView
from hpsearch.wording.final_model import Fact, against, baseline_warning, facts, flattery

# A larger matrix says less than its largest mistakes.
_MAX_CLASSES: Final = 16
_MAX_MISTAKES: Final = 12
_SHADES: Final = 9

routes = PageRoutes("page")


@dataclass(frozen=True)
class FinalSentences:
    """Sentences about a final model, the same on all surfaces.

    Attributes:
        facts: The card's lines.
        flattery: How far the value it was chosen at can be trusted.
        warning: That a baseline is as good; None when none is.
        against: The baselines with their values; may be empty.
    """

    facts: tuple[Fact, ...]
    flattery: str
    warning: str | None
    against: str


def final_sentences(study: StudyView) -> FinalSentences | None:
    """Return the sentences about a study's final model; None while there is none."""
    final = study.final
    if final is None:
        return None
    return FinalSentences(tuple(facts(final)), flattery(final), baseline_warning(final), against(final))


@dataclass(frozen=True)
class Cell:
    """Rows of one true class that were taken for one class.

    Attributes:
        n: How many.
        shade: 0 to 9, the share of the true class.
    """

    n: int
    shade: int


@dataclass(frozen=True)
class ClassRow:
    """What became of the rows of one class.

    Attributes:
        label: Of the class.
        cells: By predicted class.
        n: Rows of the class.
        recall: Share of them that was recognised; None without any.
        precision: Share of those taken for it that are of it; None without any.
    """

    label: str
    cells: tuple[Cell, ...]
    n: int
    recall: float | None
    precision: float | None


@dataclass(frozen=True)
class Evaluated:
    """What a model gets right and wrong, ready to be shown.

    Attributes:
        judged_on: The rows, such as `the test rows`.
        n_rows: How many.
        classes: One for each class; empty for regression.
        is_matrix: Whether there are few enough classes for a matrix.
        mistakes: (true class, predicted class, rows), the most frequent first.
        drawing: Predictions against true values; None for classifiers.
    """

    judged_on: str
    n_rows: int
    classes: tuple[ClassRow, ...] = ()
    is_matrix: bool = False
    mistakes: tuple[tuple[str, str, int], ...] = ()
    drawing: Markup | None = None


def evaluated(card: ModelCard | None) -> Evaluated | None:
    """Return what the card of a model says of it; None when it says nothing."""
    if card is None or card.evaluation is None or not card.evaluation.n_rows:
        return None
    found = card.evaluation
    if found.confusion:
        classes = _classes(card.classes, found.confusion)
        if not classes:
            return None
        mistakes = sorted(
            (
                (true.label, classes[j].label, cell.n)
                for i, true in enumerate(classes)
                for j, cell in enumerate(true.cells)
                if i != j and cell.n
            ),
            key=lambda one: -one[2],
        )
        return Evaluated(
            card.judged_on, found.n_rows, classes, len(classes) <= _MAX_CLASSES, tuple(mistakes[:_MAX_MISTAKES])
        )
    if not found.truth or len(found.truth) != len(found.errors):
        return None
    points = [(true, true + error) for true, error in zip(found.truth, found.errors, strict=True)]
    ends = [value for point in points for value in point]
    line = [(min(ends), min(ends)), (max(ends), max(ends))]
    drawing = svg.chart(
        [svg.Series("line", line, 7), svg.Series("dots", points)],
        svg.Axis(f"true {card.target}"),
        svg.Axis("predicted"),
        title=f"Predictions against true values of {count(len(points))} rows",
    )
    return Evaluated(card.judged_on, found.n_rows, drawing=drawing)


def _classes(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> tuple[ClassRow, ...]:
    n = len(confusion)
    if len(labels) != n or any(len(row) != n for row in confusion):
        return ()
    taken = [sum(row[j] for row in confusion) for j in range(n)]
    return tuple(
        ClassRow(
            label=labels[i],
            cells=tuple(Cell(hits, round(_SHADES * hits / max(1, sum(row)))) for hits in row),
            n=sum(row),
            recall=row[i] / sum(row) if sum(row) else None,
            precision=row[i] / taken[i] if taken[i] else None,
        )
        for i, row in enumerate(confusion)
    )


def evaluation_of(ctx: Context, study_id: str) -> dict[str, Any]:
    """Return what the part of the page shows.

    Raises:
        NotFoundError: There is no such study.
    """
    return {"evaluated": evaluated(evaluation.card_of_study(ctx, study_id))}


@routes.get("/ui/studies/{study_id}/evaluation", scope="read")
def study_evaluation(study_id: StudyId, request: Request, ctx: Service) -> Response:
    """Show what the final model gets right and wrong."""
    return page(request, "study/evaluation.html", **evaluation_of(ctx, study_id))
