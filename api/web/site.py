"""The site: which page routes there are. Earlier ones win: a fixed address stands before a pattern that fits it."""

from __future__ import annotations

from typing import Final

from api.routing import Routes
from api.web import assets
from api.web.pages import (
    comparing,
    datasets,
    fleet,
    new_study,
    report,
    signing,
    studies,
    study,
    study_actions,
    study_final,
    tokens,
    trial,
)
from hpsearch.settings import Settings

_FIXED: Final[tuple[Routes, ...]] = (
    assets.routes,
    signing.routes,
    studies.routes,
    new_study.routes,
    study.routes,
    study_actions.routes,
    comparing.routes,
    study_final.routes,
    report.routes,
    trial.routes,
    fleet.routes,
    datasets.routes,
    tokens.routes,
)


def page_routes(settings: Settings) -> tuple[Routes, ...]:
    """Return all page routes; the settings say how large an uploaded file may be."""
    return (*_FIXED, datasets.upload_routes(settings))
