"""The pages tell the truth: links lead somewhere, commands and settings exist, every field has its line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from hpsearch.cli.main import app
from hpsearch.domain.metrics import KNOWN_METRICS
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.study import BUILTIN_DATASETS, GENERATED_DATASETS, Budget, Split, StudyDefinition
from hpsearch.domain.training import EarlyStopping, LrDecay, Training
from hpsearch.settings import ENVIRONMENT, Settings
from hpsearch.studyfile.reader import load_study
from tests.architecture.checkout import ROOT, python_sources, relative
from tests.deploy.rules import command_problem
from tests.docs.blocks import commands

_PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
_README = (ROOT / "README.md").read_text(encoding="utf-8")
_DEFINITION = (ROOT / "docs" / "study-definition.md").read_text(encoding="utf-8")
_MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# Where api, workers and migrations lie in an installed wheel; not in the checkout.
_BUNDLED = {"hpsearch/_apps", "hpsearch/migrations"}
_SECTIONS = ("Context", "Decision", "Consequences", "Alternatives", "Enforced by")


def _blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, flags=re.DOTALL)


@pytest.mark.parametrize("page", _PAGES, ids=relative)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        # References are made when the site is built: tests/docs/test_site.py follows those links.
        made = (page.parent / target).resolve().is_relative_to(ROOT / "docs" / "reference")
        if "://" not in target and not made:
            assert (page.parent / target).exists(), f"{relative(page)} links to {target}"


@pytest.mark.parametrize("page", _PAGES, ids=relative)
def test_paths_that_are_named_exist(page: Path):
    named = re.findall(
        r"`((?:hpsearch|api|workers|migrations|tests|docs|examples|benchmarks|\.ci)/[\w./-]*)`", page.read_text()
    )
    missing = [path for path in named if path not in _BUNDLED and not (ROOT / path).exists()]
    assert missing == [], relative(page)


def _commands(text: str) -> Iterator[str]:
    """Yield every `hpsearch …` command of a page: in shell blocks and in inline code."""
    for block in _blocks(text, "sh"):
        yield from (shlex.join(["hpsearch", *arguments]) for arguments in commands(block))
    yield from re.findall(r"`(hpsearch [^`]+)`", text)


@pytest.mark.parametrize("page", _PAGES, ids=relative)
def test_commands_that_are_named_exist(page: Path):
    problems = {}
    for command in _commands(page.read_text(encoding="utf-8")):
        arguments = command.replace("…", "x").split()[1:]
        if arguments[0].startswith("-") or "|" in arguments:
            continue
        problem = command_problem(arguments) or ""
        if "Missing argument" not in problem and problem:
            problems[command] = problem
    assert problems == {}


def test_the_readme_shows_commands():
    assert len(list(_commands(_README))) > 15, "the search for commands finds nothing"


def test_every_command_is_known_to_the_readme_or_its_own_help():
    group: Any = typer.main.get_command(app)
    assert {"run", "serve", "worker", "submit", "leaderboard", "best"} <= set(group.commands)
    for command in group.commands.values():
        assert command.help, command.name


@pytest.mark.parametrize("page", _PAGES, ids=relative)
def test_make_targets_that_are_named_exist(page: Path):
    targets = set(re.findall(r"^\.PHONY: (\S+)", _MAKEFILE, flags=re.MULTILINE))
    for target in re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
        assert target in targets, f"{relative(page)}: make {target}"


def test_every_setting_has_its_line_with_its_default():
    rows = {match[1]: match[0] for match in re.finditer(r"^\| .*?`(HPSEARCH_\w+)`.*$", _README, flags=re.MULTILINE)}
    assert set(ENVIRONMENT) <= set(rows)
    for name, field in ENVIRONMENT.items():
        default = Settings.model_fields[field].default
        if isinstance(default, int | float) and field != "workers":
            assert f"| {default:.0f}" in rows[name], rows[name]


# Between a command and its own children, and for tests.
_INTERNAL = {"HPSEARCH_LOCAL_CPUS", "HPSEARCH_STUB_ENGINE", "HPSEARCH_STUB_EPOCHS", "HPSEARCH_STUB_EPOCH_S"}
_INTERNAL |= {
    "HPSEARCH_STUB_FAULTS",
    "HPSEARCH_STUB_COMPILE_S",
    "HPSEARCH_STUB_PACK",
    "HPSEARCH_TRAINER_CORES",
    "HPSEARCH_WORKER_BESIDE",
}


def test_every_variable_the_code_reads_is_in_the_readme():
    product = [path for path in python_sources() if relative(path).startswith(("hpsearch/", "api/", "workers/"))]
    read = {name for path in product for name in re.findall(r"HPSEARCH_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))}
    assert sorted(name for name in read - _INTERNAL if f"`{name}`" not in _README) == []


def test_yaml_on_the_pages_is_a_study(tmp_path: Path):
    (tmp_path / "data.csv").write_text("a,label\n1,x\n2,y\n", encoding="utf-8")
    blocks = [block for text in (_README, _DEFINITION) for block in _blocks(text, "yaml")]
    assert len(blocks) == 2
    for block in blocks:
        path = tmp_path / "study.yaml"
        path.write_text(block, encoding="utf-8")
        load_study(path)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=relative)
def test_examples_are_studies(path: Path):
    assert load_study(path).definition("some-id").name


def test_every_field_of_a_definition_is_described():
    fields = {*StudyDefinition.model_fields, *Split.model_fields, *Budget.model_fields, *MlpConfig.model_fields}
    fields |= {f"early_stopping.{name}" for name in EarlyStopping.model_fields}
    fields |= {f"lr_decay.{name}" for name in LrDecay.model_fields}
    fields |= {"layers", *Training.model_fields} - {"early_stopping", "lr_decay"}
    sections = {"dataset", "space", "algorithm", "task", "objective", "split", "budget", "training"}
    missing = [name for name in sorted(fields) if f"`{name}`" not in _DEFINITION and name not in sections]
    assert set(missing) <= {"constraints"}, "described in the text"
    for name in StudyDefinition.model_fields:
        assert f"| `{name}` |" in _README, name


def test_every_name_a_definition_may_use_is_described():
    names = {*BUILTIN_DATASETS, *GENERATED_DATASETS, *KNOWN_METRICS}
    names |= {"grid", "random", "bayesian", "relu", "selu", "nesterov", "adamw"}
    assert [name for name in sorted(names) if f"`{name}`" not in _DEFINITION] == []


def test_defaults_on_the_page_are_those_of_the_code():
    shown = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", _DEFINITION, flags=re.MULTILINE))
    for model, names in ((Split, ("test", "seed")), (Training, ("max_epochs",)), (Budget, ("max_failed",))):
        for name in names:
            default = model.model_fields[name].default
            assert re.search(rf"(?<![\d.]){re.escape(f'{default:g}')}(?![\d.])", shown[name]), (name, shown[name])
    for name, field in MlpConfig.model_fields.items():
        if name in shown and name != "units" and field.default is not None:
            wanted = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            assert wanted.removesuffix(".0") in shown[name], (name, shown[name])


@pytest.mark.parametrize("page", _DECISIONS, ids=relative)
def test_decisions_are_one_page_with_all_sections(page: Path):
    text = page.read_text(encoding="utf-8")
    assert tuple(re.findall(r"^## (.+)$", text, flags=re.MULTILINE)) == _SECTIONS
    assert re.match(rf"# {page.name[:4]}: ", text)
    assert len(text.splitlines()) <= 60
    enforced = text.partition("## Enforced by")[2]
    assert "`tests/" in enforced or "contract" in enforced


def test_decisions_are_numbered_without_gaps():
    assert [int(page.name[:4]) for page in _DECISIONS] == list(range(1, len(_DECISIONS) + 1))


def test_contracts_that_decisions_name_exist():
    configured = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for page in _DECISIONS:
        for name in re.findall(r'contract "([^"]+)"', page.read_text(encoding="utf-8")):
            assert f'name = "{name}' in configured, f"{relative(page)} names the contract {name!r}"


def test_compose_commands_on_the_page_fit_the_file():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    named = re.findall(r"docker compose (?:exec|up --build --detach) ([\w-]+)", _README)
    assert {"server", "worker-gpu"} <= set(named)
    assert set(named) <= set(services)


def test_workers_on_gpus_build_no_image_for_cpus():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    started, waiting = set(), ["worker-gpu"]
    while waiting:
        service = waiting.pop()
        started.add(service)
        waiting += set(services[service].get("depends_on", {})) - started
    assert started == {"worker-gpu", "server", "prepare", "postgres"}
