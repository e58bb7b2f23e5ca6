"""The pages of studies and trials as HTML: what they show, what people do with them, and what they refuse."""

from __future__ import annotations

import re

import pytest
from markupsafe import Markup

from api.web.formatting import coded
from tests.api.conftest import Worker, create_study, ending
from tests.api.web.conftest import Site
from tests.api.web.tags import Tags


def _trials(site: Site, study_id: str, state: str) -> list[str]:
    answer = site.client.get(f"/v1/studies/{study_id}/trials?state={state}&limit=100", headers=site.headers)
    return [item["trial_id"] for item in answer.json()["items"]]


def test_a_study_is_shown(either: Site, study_id: str) -> None:
    page = either.reader.get(f"/ui/studies/{study_id}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in page.text
    assert len(re.findall(r'<tr id="row-', page.text)) == 3
    assert "Searching: 1 trial running" in page.text
    assert "epoch <b>1</b>" in page.text
    assert "0.2500" in page.text
    for verb in ("pause", "stop", "cancel", "extend", "enqueue", "clone", "retry-failed"):
        assert f"/{verb}" not in page.text, "somebody who may only look has no buttons"
    assert all(
        f"/{verb}" in either.author.get(f"/ui/studies/{study_id}").text for verb in ("pause", "cancel", "extend")
    )


def test_the_board_is_asked_for_in_parts(either: Site, study_id: str) -> None:
    path = f"/ui/studies/{study_id}/board"
    for query, n_rows in (
        ("", 3), ("?state=FAILED", 1), ("?state=COMPLETE&sort=param.units&order=desc", 3), ("?kind=baseline", 0),
        ("?sort=value&order=desc&state=COMPLETE", 3),
    ):  # fmt: skip
        part = either.reader.part(path + query)
        assert part.status_code == 200, part.text
        assert len(re.findall(r'<tr id="row-', part.text)) == n_rows, query
    for query in ("?sort=nothing", "?order=up", "?state=ODD", "?page_token=***", "?sort=param.nothing", "?unknown=1"):
        assert either.reader.part(path + query).status_code == 422, query


def test_ranks_stand_in_every_order_and_under_every_filter(either: Site, study_id: str) -> None:
    path = f"/ui/studies/{study_id}/board"

    def ranks(query: str) -> dict[str, str]:
        text = either.reader.part(path + query).text
        return dict(re.findall(r'id="row-([^"]+)".*?data-column="rank">([^<]*)</td>', text, re.DOTALL))

    ranked = ranks("")
    assert sorted(ranked.values()) == ["1", "2", "3"]
    for query in ("?sort=param.units", "?sort=value&order=desc", "?where=units+%3E%3D+1"):
        assert ranks(query) == ranked, query
    assert {place for trial, place in ranks("?state=ANY&kind=ANY").items() if trial not in ranked} == {"\u2013"}
    some = either.reader.part(path + "?where=accuracy+%3E+0.505").text
    assert "2 of 3 trials shown" in some
    page = either.reader.get(f"/ui/studies/{study_id}?where=height+%3E+2")
    assert page.status_code == 200
    assert "The filter can not be used: &#39;height&#39; is not a column of this board" in page.text


@pytest.mark.parametrize("name", ["history", "importances", "parallel", "timeline"])
def test_charts_get_their_data(either: Site, study_id: str, name: str) -> None:
    answer = either.reader.get(f"/ui/studies/{study_id}/data/{name}", Accept="application/json")
    assert answer.status_code == 200
    same = either.client.get(f"/v1/studies/{study_id}/{name}", headers=either.headers).json()
    members = {"rows", "columns"} if name == "parallel" else {"items"}
    assert all(answer.json()[member] == same[member] for member in members)
    missing = either.reader.get(f"/ui/studies/nothing/data/{name}", Accept="application/json")
    assert (missing.status_code, missing.json()["code"]) == (404, "study.not_found")


def test_curves_of_some_trials(either: Site, study_id: str) -> None:
    done = _trials(either, study_id, "COMPLETE")
    path = f"/ui/studies/{study_id}/data/curves?trials="
    found = either.reader.get(path + ",".join([*done, "unknown"]), Accept="application/json").json()
    assert set(found["metrics"]) == {"accuracy", "loss"}
    assert {item["trial_id"] for item in found["items"]} == set(done)
    losses = [item for item in found["items"] if item["metric"] == "loss"]
    assert all(item["epochs"] == [1, 2] and item["values"] == [None, 1.0] for item in losses)
    assert either.reader.get(path + "a,,b", Accept="application/json").status_code == 422


def test_a_study_is_steered(either: Site, study_id: str) -> None:
    path, author = f"/ui/studies/{study_id}", either.author
    assert "Paused" in author.post(f"{path}/pause").text
    assert "Resume" in author.part(f"{path}/actions").text
    assert author.post(f"{path}/resume").status_code == 200
    assert "1 failed trial will" in author.post(f"{path}/retry-failed").text
    told = author.post(f"{path}/extend", {"max_trials": "12"}, headers={"Accept": "application/json"})
    assert told.json() == {"text": "The search goes on to 12 trials.", "address": None}
    for wrong in ("12", "x", "-1", "", "9" * 30):
        refused = author.post(f"{path}/extend", {"max_trials": wrong}, headers={"Accept": "application/json"})
        assert refused.status_code == 422, wrong
    made = author.post(f"{path}/clone", {"name": "again"}, headers={"Accept": "application/json"}).json()
    assert made["address"].startswith("/ui/studies/")
    assert "again" in author.get(made["address"]).text
    assert author.post(f"{path}/stop").status_code == 200
    assert author.post(f"{path}/cancel").status_code == 200
    assert author.post(f"{path}/pause").status_code == 409


def test_a_point_is_tried(either: Site, study_id: str) -> None:
    path, author = f"/ui/studies/{study_id}/enqueue", either.author
    json = {"Accept": "application/json"}
    told = author.post(path, {"units": "5", "learning_rate": "1e-2"}, headers=json)
    assert told.status_code == 200, told.text
    waiting = either.client.get(f"/v1/studies/{study_id}/trials?state=WAITING", headers=either.headers).json()["items"]
    assert any({"units": 5, "learning_rate": 0.01}.items() <= one["params"].items() for one in waiting)
    for wrong, words in (
        ({"units": "5.5", "learning_rate": "0.01"}, "units must be a whole number"),
        ({"units": "5", "learning_rate": "fast"}, "learning_rate must be a number"),
        ({"units": "5"}, "learning_rate is missing"),
        ({"units": "5", "learning_rate": "9"}, "learning_rate can not be 9"),
        ({"units": "5", "learning_rate": "nan"}, "learning_rate must be a number"),
        ({"units": "9" * 400, "learning_rate": "0.01"}, "units must be a whole number"),
        ({"colour": "red"}, "is not a searched parameter"),
    ):
        refused = author.post(path, wrong, headers=json)
        assert refused.status_code == 422, wrong
        assert words in refused.json()["detail"]


@pytest.mark.parametrize("is_begun", [False, True])
def test_the_point_that_is_offered_can_be_tried(site: Site, *, is_begun: bool) -> None:
    """Also where the linear baseline, which lies outside the space, leads the board."""
    space = {
        "layers": {"type": "int", "low": 2, "high": 3},
        "units": {"type": "int", "low": 80, "high": 160, "per_layer": True},
        "activation": {"type": "categorical", "choices": ["tanh", "silu"]},
        "dropout": {"type": "float", "low": 0.1, "high": 0.4, "steps": 4},
        "learning_rate": {"type": "float", "low": 0.01, "high": 0.1, "log": True},
    }
    study_id = create_study(site.client, site.headers, space=space, baselines=True)
    worker = Worker.register(site.client, site.headers)
    if is_begun:
        done = worker.claim(3)
        for trial, value in zip(done, (0.9, 0.8, 0.3), strict=True):
            worker.report(ending(trial, value=value))
    tags = Tags(site.author.get(f"/ui/studies/{study_id}").text)
    point = {one["name"]: one["value"] for one in tags.of("input") if (one.get("id") or "").startswith("point-")}
    assert {"layers", "units_1", "units_2"} < set(point)
    offered = {name: value for name, value in point.items() if name and value}
    offered["activation"] = "tanh"  # the first of a list
    told = site.author.post(f"/ui/studies/{study_id}/enqueue", offered, headers={"Accept": "application/json"})
    assert told.status_code == 200, told.text
    if is_begun:
        assert offered["units_1"] == str(done[2]["params"]["units_1"])
    site.client.post(f"/v1/studies/{study_id}/cancel", headers=site.headers)


def test_a_study_is_renamed_labelled_and_deleted(either: Site, study_id: str) -> None:
    path, author, json = f"/ui/studies/{study_id}", either.author, {"Accept": "application/json"}
    fields = {"name": "<i>new</i>", "labels": "team=<b>vision, goal = base line", "notes": "One.\r\n<u>Two</u>"}
    assert author.post(f"{path}/edit", fields, headers=json).json()["address"] == path
    page = author.get(path).text
    for text in (
        "&lt;i&gt;new&lt;/i&gt;",
        "team=&lt;b&gt;vision</a>",
        "goal=base line</a>",
        "One.\n&lt;u&gt;Two&lt;/u&gt;",
    ):
        assert text in page, text
    assert "team=&lt;b&gt;vision" in author.get("/ui/studies?label=goal").text
    for wrong, words in (
        ({"name": " "}, "name"),
        ({"name": "x", "labels": "team"}, "labels are key=value pairs"),
        ({"name": "x", "labels": "a=1,a=2"}, "each key once"),
        ({"name": "x", "labels": f"{'k' * 65}=1"}, "at most 64"),
        ({"name": "x", "notes": "n" * 10_001}, "at most 10000"),
    ):
        refused = author.post(f"{path}/edit", wrong, headers=json)
        assert refused.status_code == 422, wrong
        assert words in refused.json()["detail"], refused.json()["detail"]
    assert author.post(f"{path}/edit", {"name": "plain"}, headers=json).status_code == 200
    assert "team=&lt;b&gt;vision" not in author.get(path).text
    assert author.post(f"{path}/delete").status_code == 409
    author.post(f"{path}/cancel")
    assert f"{path}/delete" in author.get(path).text
    assert f"{path}/delete" not in either.reader.get(path).text
    assert author.post(f"{path}/delete").headers["HX-Redirect"] == "/ui/studies"
    assert author.get(path).status_code == 404


def test_a_trial_is_shown_and_trained_again(either: Site, study_id: str) -> None:
    (failed,), (done, *_) = _trials(either, study_id, "FAILED"), _trials(either, study_id, "COMPLETE")
    page = either.author.get(f"/ui/trials/{failed}")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in page.text
    assert "Training raised an error" in page.text
    assert either.author.post(f"/ui/trials/{failed}/again").status_code == 200
    assert failed in _trials(either, study_id, "WAITING")

    sent = either.author.post(f"/ui/trials/{done}/again")
    assert sent.status_code == 204
    made = sent.headers["HX-Redirect"].rsplit("/", 1)[1]
    params = [either.client.get(f"/v1/trials/{one}", headers=either.headers).json()["params"] for one in (done, made)]
    assert params[0] == params[1]
    assert either.author.post(f"/ui/trials/{made}/stop").status_code == 200
    assert either.author.post(f"/ui/trials/{made}/stop").status_code == 409
    assert either.reader.get("/ui/trials/nothing").status_code == 404


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_downloads(either: Site, study_id: str, form: str) -> None:
    answer = either.reader.get(f"/ui/studies/{study_id}/export?format={form}")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="study-{study_id}.{form}"'
    assert either.reader.get(f"/ui/studies/{study_id}/model").status_code == 404


def test_looking_is_not_steering(either: Site, study_id: str) -> None:
    (done, *_) = _trials(either, study_id, "COMPLETE")
    verbs = ("pause", "resume", "stop", "cancel", "extend", "clone", "enqueue", "retry-failed")
    for path in (
        *(f"/ui/studies/{study_id}/{verb}" for verb in verbs), f"/ui/trials/{done}/again", f"/ui/trials/{done}/stop",
    ):  # fmt: skip
        assert either.reader.post(path).status_code == 403, path
        foreign = either.author.post(path, headers={"Sec-Fetch-Site": "cross-site"})
        assert foreign.status_code == 403, path


def test_what_a_study_does_is_said(either: Site) -> None:
    headers, client = either.headers, either.client
    study_id = create_study(client, headers, budget={"max_trials": 2}, baselines=True)

    def said() -> str:
        text = either.reader.get(f"/ui/studies/{study_id}").text
        return re.sub(
            r"<[^>]*>", "", text[text.index('class="doing"') : text.index("</p>", text.index('class="doing"'))]
        )

    assert "Waiting for a worker: 4 trials ready" in said()
    client.post(f"/v1/studies/{study_id}/pause", headers=headers)
    assert "Paused: no new trials start." in said()
    client.post(f"/v1/studies/{study_id}/resume", headers=headers)
    worker = Worker.register(client, headers)
    (baseline,) = worker.claim(1)
    worker.report(ending(baseline, value=0.99))
    worker.finish(3)
    assert "Finished: all trials done." in said()
    assert "No search trial beats the baseline" in either.reader.get(f"/ui/studies/{study_id}").text

    study_id = create_study(client, headers, name="sad", budget={"max_trials": 1})
    (trial,) = worker.claim(1)
    error = {"state": "FAILED", "cause": "training_error", "detail": "ValueError: no"}
    worker.report({"trial_id": trial["trial_id"], "attempt": 1, "outcome": error})
    assert "Failed: no search trial came to a result." in said()
    text = either.reader.get(f"/ui/studies/{study_id}").text
    assert '<span class="state FAILED">FAILED</span>' in text
    assert "shows why trial 0 did (training_error: ValueError: no)" in text


def test_a_confirmed_study_shows_intervals_ties_and_repeats(either: Site) -> None:
    confirm = {"top_k": 2, "seeds": 3}
    study_id = create_study(either.client, either.headers, budget={"max_trials": 3}, confirm=confirm)
    worker = Worker.register(either.client, either.headers)
    for value in (0.9, 0.8, 0.5):
        (trial,) = worker.claim(1, wait_s=5.0)
        worker.report(ending(trial, value=value))
    assert "Mean over seeds" not in either.reader.part(f"/ui/studies/{study_id}/board").text
    # Both do equally well with other seeds: which of them is the best, nobody can tell.
    values = {}
    for _ in range(6):
        (trial,) = worker.claim(1, wait_s=5.0)
        n = values.setdefault(str(trial["params"]), 0)
        values[str(trial["params"])] += 1
        worker.report(ending(trial, value=(0.6, 0.7, 0.8)[n]))
    board = either.reader.part(f"/ui/studies/{study_id}/board").text
    assert board.count(">tie<") == 2
    assert board.count("1 to 2</td>") == 2
    assert len(re.findall(r'title="Of the mean over 3 seeds">0\.\d+ to 0\.\d+<', board)) == 2
    assert re.search(r'data-column="value">0\.9000<', board)
    best = re.findall(r'id="row-([^"]+)"', board)[0]
    page = either.reader.get(f"/ui/trials/{best}").text
    assert "Trained again" in page
    assert page.count("with another seed") == 3
    (repeat, *_) = _kind(either, study_id, "confirmation")
    assert "the trial it confirms" in either.reader.get(f"/ui/trials/{repeat}").text


def _kind(site: Site, study_id: str, kind: str) -> list[str]:
    answer = site.client.get(f"/v1/studies/{study_id}/trials?kind={kind}&limit=100", headers=site.headers)
    return [item["trial_id"] for item in answer.json()["items"]]


def test_orders_hold_what_can_be_ranked(either: Site, study_id: str) -> None:
    path = f"/ui/studies/{study_id}/board"
    for query, n_rows in (
        ("?sort=param.units", 3), ("?sort=rank&order=desc", 3), ("?sort=number&state=ANY", 5), ("?state=ANY", 5),
        ("?state=ANY&kind=ANY", 5), ("?kind=confirmation&state=ANY", 0),
    ):  # fmt: skip
        text = either.reader.part(path + query).text
        found = len(re.findall(r'<tr id="row-', text))
        waiting = text.count('class="state WAITING"')
        assert found - waiting == n_rows, query
    ranked = re.findall(r'id="row-([^"]+)"', either.reader.part(path).text)
    turned = either.reader.part(path + "?sort=rank&order=desc").text
    assert re.findall(r'id="row-([^"]+)"', turned) == ranked
    assert 'aria-sort="ascending"' in turned


def test_commands_in_sentences_are_code() -> None:
    assert coded("start `a <b>` or <c>") == "start <code>a &lt;b&gt;</code> or &lt;c&gt;"
    assert coded("a `stray <one>") == "a `stray <one>"
    assert not isinstance(coded("a `stray <one>"), Markup)
