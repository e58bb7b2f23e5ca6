"""Every algorithm keeps every promise of a sampler, in this process and through the sampling process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpsearch.domain.trial import Params
from hpsearch.sampling.background import BackgroundSampler
from hpsearch.sampling.request import SuggestRequest
from hpsearch.testing.sampler_conformance import SamplerConformance


class TestDirect(SamplerConformance):
    """Every algorithm of the registry, in this process."""


class TestBackground(SamplerConformance):
    """`BackgroundSampler`: the same through a process."""

    sampler: BackgroundSampler

    @pytest.fixture(autouse=True, scope="class")
    @staticmethod
    def process(request: pytest.FixtureRequest) -> Iterator[None]:
        request.cls.sampler = BackgroundSampler()
        yield
        request.cls.sampler.close()

    def suggest(self, request: SuggestRequest) -> list[Params]:
        return self.sampler.suggest("study", request, timeout_s=60)
