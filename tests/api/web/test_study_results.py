"""What comes out of a study: trials side by side, a report, the final model and what it gets right and wrong."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from api.web.pages.study_final import evaluated
from hpsearch.model_card import Evaluation, ModelCard, read_card, write_card
from tests.api.conftest import Worker, create_study, ending
from tests.api.web.conftest import Site
from tests.api.web.tags import Tags


def test_trials_are_compared(either: Site, study_id: str) -> None:
    answer = either.reader.get(f"/ui/studies/{study_id}/compare?trials=2,0,77")
    assert answer.status_code == 200
    numbers = re.findall(r'<th scope="col" class="number"><a [^>]*>Trial (\d+)</a>', answer.text)
    assert numbers == ["2", "0"], "in the order of the address"
    assert "This study has no trial 77." in answer.text
    lines = {
        label: re.findall(r"<td[^>]*>(.*?)</td>", cells)
        for label, cells in re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', answer.text, re.DOTALL)
    }
    assert lines["rank"] == ["1", "3"]
    assert lines["accuracy, validation"] == ['0.5200<span class="visually-hidden"> (best)</span>', "0.5000"]
    assert len(set(lines["learning_rate"])) == 2
    assert re.search(r'<tr class="same">\s*<th scope="row">epochs', answer.text)
    assert "<script>alert" not in answer.text
    for query in ("", "?trials=", "?trials=a", "?trials=" + ",".join(map(str, range(13)))):
        assert either.reader.get(f"/ui/studies/{study_id}/compare{query}").status_code == 422, query
    assert either.reader.get("/ui/studies/nothing/compare?trials=1").status_code == 404


def test_a_report_needs_nothing_else(either: Site, study_id: str) -> None:
    answer = either.reader.get(f"/ui/studies/{study_id}/report")
    assert answer.status_code == 200
    assert re.fullmatch(r'attachment; filename="[\w.-]+-report\.html"', answer.headers["Content-Disposition"])
    tags = Tags(answer.text)
    assert not [tag for tag, _ in tags.tags if tag in ("script", "link", "img", "iframe", "object")]
    assert not [value for _, attributes in tags.tags for name, value in attributes.items() if name == "src"]
    assert "url(" not in answer.text
    assert "default-src 'none'" in answer.text
    assert answer.text.count("<svg") >= 4
    for text in ("Best so far", "learning_rate: {type: float", "<dt>Database</dt>", "SHA-256", "<h2>Data: iris</h2>"):
        assert text in answer.text, text
    empty = create_study(either.client, either.headers, name="nothing yet")
    assert "Best so far" not in either.reader.get(f"/ui/studies/{empty}/report").text


def _model(folder: Path, task: str, **evaluation: Any) -> bytes:
    """Return a model file that holds a card alone."""
    path = folder / f"{task}.keras"
    zipfile.ZipFile(path, "w").close()
    classes = ("a", "<b>b</b>", "c") if task == "multiclass" else ()
    card = ModelCard(
        hpsearch_version="0", study_id="s", study_name="s", trial_id="t", trial_number=0, trial_kind="refit",
        dataset_digest="0", task=task, target="<u>y</u>", classes=classes, form="matrix", columns=(), params={}, seed=0,
        n_weights=1, n_training_rows=1, best_epoch=1, metric="accuracy", direction="maximize", value=0.5,
        judged_on="the test rows", trained_on="rows", usage="", evaluation=Evaluation(n_rows=60, **evaluation),
    )  # fmt: skip
    write_card(path, card)
    return path.read_bytes()


def test_a_final_model_tells_what_it_is_worth_and_what_it_confuses(site: Site, tmp_path: Path) -> None:
    counts = ((20, 0, 0), (3, 17, 0), (0, 0, 20))
    study_id = create_study(site.client, site.headers, budget={"max_trials": 1}, refit="auto", baselines=True)
    worker = Worker.register(site.client, site.headers)
    for value in (0.7, 0.8, 0.9):
        (trial,) = worker.claim(1, wait_s=5.0)
        worker.report(ending(trial, value=value))
    assert "Final model" not in site.reader.get(f"/ui/studies/{study_id}").text
    (refit,) = worker.claim(1, wait_s=5.0)
    assert worker.deliver(refit, _model(tmp_path, "multiclass", confusion=counts)).status_code == 200
    worker.report(ending(refit, value=0.875))
    page = site.reader.get(f"/ui/studies/{study_id}").text
    final = page[page.index('class="card final"') : page.index("</section>", page.index('class="card final"'))]
    assert "<b>0.8750</b> <span>test accuracy" in final
    assert "Selection flattered it by 0.025: believe the test rows." in final
    assert "default network 0.8000, linear model 0.7000" in final
    assert "<b>0.8750</b> <span>test accuracy" in site.reader.get(f"/ui/studies/{study_id}/report").text
    listed = site.reader.get("/ui/studies").text
    assert re.search(r'class="best">0\.8750</span><br><span class="faint">test accuracy<', listed)
    board = site.reader.part(f"/ui/studies/{study_id}/board?kind=refit").text
    assert re.search(r'data-column="value">\u2013<.*data-column="test">0\.8750<', board, re.DOTALL)

    part = site.reader.part(f"/ui/studies/{study_id}/evaluation").text
    assert "Confusion matrix" in part
    assert "the test rows (60 rows)" in part
    rows = re.findall(r'<th scope="row">([^<]*)</th>(.*?)</tr>', part)
    assert [(label, re.findall(r">([^<]+)</td>", cells)) for label, cells in rows] == [
        ("a", ["20", "\u00b7", "\u00b7", "100\u202f%", "87\u202f%"]),
        ("&lt;b&gt;b&lt;/b&gt;", ["3", "17", "\u00b7", "85\u202f%", "100\u202f%"]),
        ("c", ["\u00b7", "\u00b7", "20", "100\u202f%", "100\u202f%"]),
    ]


def test_cards_that_are_odd_are_left_out(tmp_path: Path) -> None:
    assert evaluated(None) is None
    for task, facts in (
        ("multiclass", {"confusion": ((1, 2), (3, 4))}),  # of two classes, though the model has three
        ("multiclass", {"confusion": ((1, 2, 3), (3, 4), (5, 6, 7))}),
        ("regression", {"truth": (1.0, 2.0), "errors": (1.0,)}),
        ("regression", {}),
    ):
        path = tmp_path / "odd.keras"
        path.write_bytes(_model(tmp_path, task, **facts))
        assert evaluated(read_card(path)) is None, facts
    path.write_bytes(_model(tmp_path, "regression", truth=(5.0,), errors=(0.0,)))
    found = evaluated(read_card(path))
    assert found is not None
    assert found.drawing is not None
    assert "true &lt;u&gt;y&lt;/u&gt;" in found.drawing
    assert "nan" not in found.drawing
