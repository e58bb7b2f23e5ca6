"""How the configuration of a study's final model was chosen: figures on validation rows."""

from __future__ import annotations

from hpsearch.domain.strict import Lenient


class Selection(Lenient):
    """The winner of a search, as the search saw it.

    Attributes:
        chosen: Number of the trial whose configuration was chosen.
        chosen_at: Its objective on the validation rows at its best epoch: the value it was chosen for, so on average a
            little better than on other rows.
        n_validation: Validation rows behind that value; with k folds all rows that are not test rows. None in studies
            that are older than this field.
        mean: Of the objective on the validation rows over new seeds, without the seed that won; None unless confirmed.
        n_seeds: How many new seeds.
        interval: Low and high end of the 95 % interval of that mean, cut to the values the metric can take; None for
            fewer than two seeds.
    """

    chosen: int
    chosen_at: float
    n_validation: int | None = None
    mean: float | None = None
    n_seeds: int | None = None
    interval: tuple[float, float] | None = None
