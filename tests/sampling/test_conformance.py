"""Both ways to a suggestion keep every promise of a sampler."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hpsearch.domain.trial import Params
from hpsearch.sampling.background import BackgroundSampler
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.suggest import suggest
from hpsearch.testing.sampler_conformance import SamplerConformance


class TestDirect(SamplerConformance):
    """`suggest` in this process."""

    def suggest(self, request: SuggestRequest) -> list[Params]:
        return suggest(request)


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
