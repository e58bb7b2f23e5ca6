"""Plots of a study with Plotly: figures for notebooks, which also stand alone as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hpsearch.client.checked import checked
from hpsearch.errors import HpsearchError, InvalidInputError, NotFoundError
from hpsearch.wire.charts import ChartColumn, Parallel

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from hpsearch.client.client import Client

_MAX_CURVES: Final = 100


@checked
class Plots:
    """Plots of one study; each method returns a `plotly.graph_objects.Figure`.

    Every method raises a NotFoundError while the study has no result to show.
    """

    def __init__(self, client: Client, study_id: str, name: str) -> None:
        self._client = client
        self._study_id = study_id
        self._name = name

    def history(self) -> go.Figure:
        """Return every result in order of its end, and the best value until then."""
        plotly = _plotly()
        points = self._client.studies.history(self._study_id)
        self._require(bool(points))
        n = [point.n_results for point in points]
        texts = [f"trial {point.number} ({point.kind})" for point in points]
        figure = plotly.Figure(
            [
                plotly.Scatter(x=n, y=[p.value for p in points], text=texts, mode="markers", name="trial"),
                plotly.Scatter(x=n, y=[p.best for p in points], mode="lines", line_shape="hv", name="best so far"),
            ]
        )
        return self._titled(figure, "results", self._metric())

    def curves(self, top: int = 10, *, metric: str | None = None) -> go.Figure:
        """Return the learning curves of the best trials.

        Args:
            top: How many trials, 1 to 100.
            metric: Of the epochs; the objective when left out. Those of the training rows begin with `train_`.

        Raises:
            InvalidInputError: The trials have no such metric.
        """
        if not 1 <= top <= _MAX_CURVES:
            msg = f"Plots.curves: top must be from 1 to {_MAX_CURVES}, received {top}"
            raise InvalidInputError(msg, code="argument.invalid")
        plotly = _plotly()
        board = self._client.studies.leaderboard(self._study_id, limit=int(top))
        self._require(bool(board.items))
        wanted, figure, known = metric or board.metric, plotly.Figure(), set()
        for row in board.items:
            epochs = list(self._client.trials.all_measurements(row.trial_id))
            known |= {name for epoch in epochs for name in epoch.metrics}
            values = [epoch.metrics.get(wanted) for epoch in epochs]
            label = f"{row.rank}: trial {row.number}"
            figure.add_scatter(x=[epoch.epoch for epoch in epochs], y=values, mode="lines", name=label)
        if wanted not in known:
            msg = f"Plots.curves: the trials have no metric {wanted!r}; known are {', '.join(sorted(known))}"
            raise InvalidInputError(msg, code="argument.invalid")
        return self._titled(figure, "epoch", wanted)

    def importances(self) -> go.Figure:
        """Return how much each searched parameter decided whether a result was among the best (PED-ANOVA)."""
        plotly = _plotly()
        found = self._client.studies.importances(self._study_id)
        if not found.items:
            msg = f"the importances of study {self._name!r} can not be told yet: {found.reason}"
            raise NotFoundError(msg, code="study.no_importances")
        items = found.items[::-1]
        figure = plotly.Figure(
            plotly.Bar(x=[item.share for item in items], y=[item.name for item in items], orientation="h")
        )
        return self._titled(figure, "share of the importance", "")

    def parallel(self, limit: int = 1000) -> go.Figure:
        """Return the results as lines through the values of their parameters, coloured by their value.

        A gap on an axis is where a parameter was not active.

        Args:
            limit: Results at most, from 10 on; a quarter of them are the best ones.
        """
        plotly = _plotly()
        shown = self._results(limit)
        axes = [_axis(column, [row.values[place] for row in shown.rows]) for place, column in enumerate(shown.columns)]
        values = [row.value for row in shown.rows]
        axes.append({"label": shown.metric, "values": values})
        colour = {"color": values, "colorscale": "Viridis", "showscale": True}
        colour["reversescale"] = shown.direction == "minimize"
        return self._titled(plotly.Figure(plotly.Parcoords(dimensions=axes, line=colour)), "", "")

    def slice(self, params: list[str] | None = None, *, limit: int = 1000) -> go.Figure:
        """Return the value over each parameter.

        Args:
            params: Which; all searched ones when left out.
            limit: Results at most, from 10 on.

        Raises:
            InvalidInputError: A parameter is not one of the searched ones.
        """
        from plotly.subplots import make_subplots

        shown = self._results(limit)
        names = [column.name for column in shown.columns]
        unknown = [name for name in params or () if name not in names]
        if unknown or params == []:
            msg = f"Plots.slice: {unknown} are not searched parameters of the study; those are {', '.join(names)}"
            raise InvalidInputError(msg, code="argument.invalid")
        wanted = params or names
        figure = make_subplots(rows=1, cols=len(wanted), shared_yaxes=True)
        for number, name in enumerate(wanted, start=1):
            place = names.index(name)
            rows = [row for row in shown.rows if row.values[place] is not None]
            column = shown.columns[place]
            across = [row.values[place] if column.kind == "number" else str(row.values[place]) for row in rows]
            texts = [f"trial {row.number} ({row.kind})" for row in rows]
            figure.add_scatter(
                x=across, y=[row.value for row in rows], text=texts, mode="markers", name=name, row=1, col=number
            )
            figure.update_xaxes(title_text=name, type="log" if column.log else None, row=1, col=number)
        figure.update_yaxes(title_text=shown.metric, row=1, col=1)
        return figure.update_layout(title_text=_plain(self._name), showlegend=False)

    def _results(self, limit: int) -> Parallel:
        shown = self._client.studies.parallel(self._study_id, limit=int(limit))
        self._require(bool(shown.rows and shown.columns))
        return shown

    def _metric(self) -> str:
        return self._client.studies.get(self._study_id).resolved.metric

    def _require(self, has_results: bool) -> None:  # noqa: FBT001 - the one thing it asks
        if not has_results:
            msg = f"study {self._name!r} has no result to plot yet"
            raise NotFoundError(msg, code="study.no_result")

    def _titled(self, figure: Any, across: str, up: str) -> Any:
        return figure.update_layout(title_text=_plain(self._name), xaxis_title_text=across, yaxis_title_text=up)


def _axis(column: ChartColumn, values: list[Any]) -> dict[str, Any]:
    """Return one axis of parallel coordinates; a logarithmic one shows powers of ten, a choice its names."""
    import math

    if column.kind == "choice":
        choices = [str(choice) for choice in column.choices or ()]
        places = [None if value is None else choices.index(str(value)) for value in values]
        return {"label": column.name, "values": places, "tickvals": list(range(len(choices))), "ticktext": choices}
    if not column.log:
        return {"label": column.name, "values": values}
    logs = [None if value is None else math.log10(value) for value in values]
    ends = [math.log10(end) for end in (column.low, column.high) if end]
    ticks = sorted({*ends, *range(math.ceil(min(ends)), math.floor(max(ends)) + 1)})
    return {"label": column.name, "values": logs, "tickvals": ticks, "ticktext": [f"{10**tick:.3g}" for tick in ticks]}


def _plain(text: str) -> str:
    """Return a text as Plotly shows it literally: it reads some HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plotly() -> Any:
    try:
        import plotly.graph_objects as go
    except ModuleNotFoundError:
        msg = "plots need plotly, which is not installed here: run  pip install 'hpsearch[notebook]'"
        raise HpsearchError(msg, code="install.missing_part") from None
    return go
