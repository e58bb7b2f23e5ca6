"""What goes wrong is one sentence on standard error and an exit code, whoever is to blame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import TOKEN, FakeServer, Said, page, problem, study

Run = Callable[..., Said]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (problem(401, "auth.required", "send Authorization: Bearer"), "the server does not accept the token"),
        (problem(403, "auth.forbidden", "this needs the scope admin, the token has read"), "needs the scope admin"),
        (problem(500, "internal", "it broke"), "it broke"),
        ((200, {"items": 7}), "does not understand"),
        ((302, {}), "redirect"),
    ],
)
def test_refusals_are_one_sentence(fake: FakeServer, remote: Run, answer: object, said: str):
    fake.routes["GET", "/v1/studies"] = answer  # type: ignore[assignment]
    result = remote("studies")
    assert (result.code, result.out) == (1, "")
    assert said in result.err
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err


def test_an_unreachable_server_is_one_sentence(hpsearch: Run):
    said = hpsearch("studies", "--server", "http://127.0.0.1:9", "--token", TOKEN)
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("Error: the server at http://127.0.0.1:9 can not be reached")
    assert said.err.count("\n") == 1


def test_no_local_server_and_nothing_to_look_at(hpsearch: Run, tmp_path: Path):
    said = hpsearch("leaderboard", "digits")
    assert said.code == 1
    assert "No local server runs and there is nothing yet in" in said.err
    assert not (tmp_path / "data").exists()


def test_debug_shows_the_traceback(hpsearch: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HPSEARCH_DEBUG", "1")
    said = hpsearch("studies", "--server", "ftp://x", "--token", TOKEN)
    assert "Traceback" in said.err
    assert said.err.splitlines()[-1].startswith("Error: the server's address must look like http://host:port")


def test_a_defect_is_one_sentence_too(fake: FakeServer, remote: Run, monkeypatch: pytest.MonkeyPatch):
    def broken(*_arguments: object) -> None:
        key = "oops"
        raise KeyError(key)

    monkeypatch.setattr("hpsearch.cli.display.tables.print_studies", broken)
    fake.routes["GET", "/v1/studies"] = page(study())
    said = remote("studies")
    assert said.code == 1
    assert said.err == "Error: KeyError: 'oops' (this is a defect of hpsearch; HPSEARCH_DEBUG=1 shows where)\n"


def test_a_token_that_was_not_given_is_told_from_one_that_is_refused(fake: FakeServer, hpsearch: Run, tmp_path: Path):
    fake.routes["GET", "/v1/studies"] = problem(401, "auth.required", "send Authorization: Bearer")
    said = hpsearch("studies", "--server", fake.url).err
    assert said == f"Error: no token was given for {fake.url}: pass it with --token or HPSEARCH_TOKEN\n"
    (tmp_path / "data").mkdir()
    own = tmp_path / "data" / "token"
    own.write_text(TOKEN)
    said = hpsearch("studies", "--server", fake.url).err
    assert f"no token was given for {fake.url} (the one in {own} is the local server's admin token" in said
    assert "authorization" not in fake.requests[-1].headers
    said = hpsearch("studies", "--server", fake.url, "--token", TOKEN).err
    assert said.startswith("Error: the server does not accept the token: it was revoked, has expired or belongs to")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["extend", "digits"], "hpsearch extend digits 200"),
        (["extend", "digits", "50", "--max-trials", "60"], "say once how many trials"),
        (["submit", "s.yaml", "--workers", "2"], "submit starts no workers: those of the server train"),
        (["runn"], "No such command 'runn'"),
        (["run"], "Missing argument 'STUDY.yaml'"),
        (["studies", "--limit", "x"], "received 'x'"),
        (["studies", "--limit=0"], "received '0'"),
        (["studies", "--nope"], "No such option: --nope"),
        (["serve", "--port", "99999"], "received '99999'"),
    ],
)
def test_wrong_usage_is_exit_code_2(hpsearch: Run, arguments: list[str], said: str):
    result = hpsearch(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Error: ")
    assert said in result.err
    assert "--help" in result.err
