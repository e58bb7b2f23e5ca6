"""The final model's card on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from hpsearch.cli.display.formatting import parameters
from hpsearch.wire.final_model import FinalModel
from hpsearch.wording.final_model import TITLE, against, baseline_warning, facts, flattery


def final_lines(final: FinalModel) -> Iterator[str]:
    """Yield the card: the figure to believe first, then how it was found and what it is compared with."""
    lines = sorted(facts(final), key=lambda fact: not fact.is_headline)
    for fact in lines:
        start = f"{TITLE}: " if fact.is_headline else "      "
        yield f"{start}{fact.label} {fact.value}"
    yield f"      {flattery(final)}"
    yield f"      {parameters(final.params)}"
    if final.baselines:
        yield f"      against {against(final)} on the validation rows"
    warning = baseline_warning(final)
    if warning is not None:
        yield f"      {warning}"
