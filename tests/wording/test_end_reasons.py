"""End reasons in words: every one has its own."""

from __future__ import annotations

from hpsearch.domain.lifecycle import EndReason
from hpsearch.wording.end_reasons import END_REASONS, end_reason


def test_every_reason_has_words_of_its_own():
    assert set(END_REASONS) == set(EndReason)
    assert len(set(END_REASONS.values())) == len(EndReason)
    assert [end_reason(one) for one in EndReason] == list(END_REASONS.values())


def test_a_reason_of_a_newer_server_is_shown_by_its_name():
    assert end_reason("no_gain") == "no gain"
    assert end_reason(None) == ""
