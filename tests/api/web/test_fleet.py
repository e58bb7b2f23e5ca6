"""The fleet and the tokens through the page."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from hpsearch.service import tokens
from hpsearch.service.fleet import workers
from hpsearch.service.fleet.overview import fleet_overview
from hpsearch.storage.store import Transaction
from hpsearch.storage.tables import worker as worker_table
from tests.api.conftest import Worker, create_study
from tests.api.web.conftest import Site


def test_an_empty_fleet_says_how_to_begin(fresh: Site) -> None:
    text = fresh.reader.get("/ui/fleet").text
    assert "No workers connected" in text
    assert "hpsearch worker --server" in text
    assert "No worker has connected yet" in fresh.reader.get("/ui/fleet?gone=true").text


def _register(site: Site, **fields: object) -> Worker:
    answer = site.client.post("/v1/workers", json={"name": "w", **fields}, headers=site.headers)
    assert answer.status_code == 201, answer.text
    return Worker(site.client, site.headers, answer.json()["worker_id"])


def _set(tx: Transaction, worker_id: str, **columns: object) -> None:
    tx.connection.execute(update(worker_table).where(worker_table.c.uid == worker_id).values(**columns))


def test_workers_are_shown_with_what_they_hold(either: Site) -> None:
    create_study(either.client, either.headers, name="<b>mine</b>")
    devices = [
        {"kind": "gpu", "name": "<i>H200</i>", "memory_bytes": 150_000_000_000},
        {"kind": "cpu", "name": "cpu", "cores": 8},
    ]
    worker = _register(either, name="<script>box</script>", version="0.1.0", devices=devices)
    idle = _register(either, name="idle")
    held = worker.claim(2)
    text = either.reader.get("/ui/fleet").text
    assert "&lt;script&gt;box" in text
    assert "<i>" not in text
    assert "<b>" not in text
    assert "&lt;i&gt;H200&lt;/i&gt;" in text
    assert "150\u202fGB" in text
    assert "8 cores" in text
    assert "<summary>2 trials</summary>" in text
    for trial in held:
        assert f'href="/ui/trials/{trial["trial_id"]}">&lt;b&gt;mine&lt;/b&gt; #{trial["number"]}' in text
    assert text.index(idle.worker_id) < text.index(worker.worker_id)
    assert text.count('<span class="state ACTIVE">active</span>') == 2


def test_a_worker_tells_how_quick_it_is(site: Site) -> None:
    create_study(site.client, site.headers)
    worker = _register(site, name="quick")
    worker.claim(1)
    progress = {
        "engine": "fused",
        "n_slots": 33,
        "n_training": 31,
        "n_waiting": 2,
        "trials_per_hour": 812.4,
        "epochs_per_second": 96.25,
    }
    with site.context.store.write() as tx:  # as its second report would; the first ones come too soon to be noted
        _set(tx, worker.worker_id, progress=progress)
    text = site.reader.get("/ui/fleet").text
    assert "fused engine: 31 in training in 33 slots, 2 being prepared" in text
    assert "812 an hour" in text
    assert "96.2 epochs/s" in text


def test_only_who_may_steers_workers(site: Site) -> None:
    worker = _register(site, name="steered")
    for person in (site.reader, site.author):
        assert "/drain" not in person.get("/ui/fleet").text
        assert person.post(f"/ui/fleet/{worker.worker_id}/drain").status_code == 403
    assert f'hx-post="/ui/fleet/{worker.worker_id}/drain"' in site.admin.get("/ui/fleet").text
    for verb, state in (("drain", "DRAINING"), ("disable", "DISABLED"), ("enable", "ACTIVE")):
        answer = site.admin.post(f"/ui/fleet/{worker.worker_id}/{verb}")
        assert answer.status_code == 200
        assert f"Worker steered is {state.lower()} now." in answer.text
        assert answer.headers["HX-Retarget"] == "#notices"
        assert workers.get(site.context, worker.worker_id).state == state
    assert site.admin.post(f"/ui/fleet/{worker.worker_id}/destroy").status_code == 404
    assert site.admin.post("/ui/fleet/nobody/drain").status_code == 404


def test_a_worker_in_quarantine_says_why(either: Site) -> None:
    create_study(either.client, either.headers, budget={"max_trials": 20, "max_failed": 20})
    good, bad = _register(either, name="good"), _register(either, name="bad")
    good.finish(1)
    for _ in range(5):
        (trial,) = bad.claim(1)
        outcome = {"state": "FAILED", "cause": "training_error", "detail": "no <b>disk</b> left", "device_seconds": 1.0}
        answer = bad.report(
            {"trial_id": trial["trial_id"], "attempt": trial["attempt"], "measurements": [], "outcome": outcome}
        )
        assert answer.status_code == 200, answer.text
    text = either.admin.get("/ui/fleet").text
    assert '<span class="state QUARANTINED">quarantined</span>' in text
    assert (
        "5 failures in a row while other workers succeed, the last: training_error: no &lt;b&gt;disk&lt;/b&gt;" in text
    )
    either.admin.post(f"/ui/fleet/{bad.worker_id}/enable")
    assert "QUARANTINED" not in either.admin.get("/ui/fleet").text


def test_who_is_gone_is_shown_on_demand(fresh: Site) -> None:
    worker = _register(fresh, name="was here")
    with fresh.context.store.write() as tx:
        record = tx.workers.get(worker.worker_id)
        before = record.last_seen_at - timedelta(seconds=2 * fresh.context.settings.lease_s)
        _set(tx, record.uid, last_seen_at=before, registered_at=before - timedelta(hours=1), n_finished=30)
    assert "was here" not in fresh.reader.get("/ui/fleet").text
    text = fresh.reader.get("/ui/fleet?gone=true").text
    assert "was here" in text
    assert '<span class="state GONE">gone</span>' in text
    assert "30.0 an hour" in text


def test_the_fleet_is_paged(either: Site) -> None:
    for name in ("w1", "w2", "w3"):
        _register(either, name=name)
    first = fleet_overview(either.context, limit=2)
    second = fleet_overview(either.context, limit=2, page_token=first.next_page_token)
    assert [one.view.name for one in (*first.workers, *second.workers)] == ["w3", "w2", "w1"]
    assert second.next_page_token is None


def test_a_token_is_made_shown_once_and_revoked(fresh: Site) -> None:
    fields = {"name": "<i>anna</i>", "scope.read": "on", "scope.submit": "on", "days": "7"}
    answer = fresh.admin.post("/ui/tokens", fields)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    raw = re.search(r"hps_[0-9a-f]{16}_[\w-]+", answer.text)
    assert raw
    caller = tokens.authenticate(fresh.context, raw[0])
    assert caller.scopes == {"read", "submit"}
    listed = fresh.admin.get("/ui/tokens").text
    assert "&lt;i&gt;anna&lt;/i&gt;" in listed
    assert raw[0] not in listed
    assert raw[0].rpartition("_")[2] not in listed
    revoked = fresh.admin.post(f"/ui/tokens/{caller.token_id}/revoke")
    assert revoked.headers["HX-Redirect"] == "/ui/tokens"
    assert "revoked" in fresh.admin.get("/ui/tokens").text
    assert fresh.client.get("/v1/studies", headers={"Authorization": f"Bearer {raw[0]}"}).status_code == 401


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"name": "", "scope.read": "on"}, "Name must have at least 1 character"),
        ({"name": "x"}, "Choose at least one scope"),
        ({"name": "x", "scope.read": "on", "days": "soon"}, "must be a whole number"),
        ({"name": "x", "scope.read": "on", "days": "0"}, "must be a whole number"),
        ({"name": "x", "scope.read": "on", "days": "99999"}, "from 1 to 36,500"),
        ({"name": "a\x00b", "scope.read": "on"}, "control characters"),
    ],
)
def test_tokens_that_can_not_be_are_not_made(site: Site, fields: dict[str, str], complaint: str) -> None:
    before = len(tokens.listing(site.context))
    answer = site.admin.post("/ui/tokens", fields)
    assert answer.status_code == 422
    assert complaint in answer.text
    assert len(tokens.listing(site.context)) == before
