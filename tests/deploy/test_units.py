"""The units in deploy/: systemd accepts them, they give little away, and their commands exist."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hpsearch.settings import ENVIRONMENT
from tests.architecture.checkout import ROOT
from tests.deploy.rules import OTHER_VARIABLES, command_problem
from tests.required import program

_DEPLOY = ROOT / "deploy"
_UNITS = sorted([*_DEPLOY.glob("*.service"), *_DEPLOY.glob("*.timer")])
_SERVICES = [unit for unit in _UNITS if unit.suffix == ".service"]
_PROGRAM = "/opt/hpsearch/bin/hpsearch"


def _name(unit: Path) -> str:
    return unit.name


def _values(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(encoding="utf-8"), flags=re.MULTILINE)


def _verified(units: list[Path], folder: Path) -> str:
    """Return what systemd-analyze has against units, with a program in the place of hpsearch."""
    for unit in units:
        text = unit.read_text(encoding="utf-8").replace(_PROGRAM, sys.executable)
        (folder / unit.name).write_text(text, encoding="utf-8")
    analyze = program("systemd-analyze", "systemd", "DEPLOY")
    done = subprocess.run(
        [analyze, "verify", *(str(folder / unit.name) for unit in units)], capture_output=True, text=True, check=False
    )
    return done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


def test_systemd_accepts_the_units(tmp_path: Path):
    assert len(_UNITS) == 4
    assert _verified(_UNITS, tmp_path) == ""


def test_a_mistake_in_a_unit_would_be_noticed(tmp_path: Path):
    unit = tmp_path / "wrong.service"
    unit.write_text(_SERVICES[0].read_text(encoding="utf-8").replace("Type=", "Tpye="), encoding="utf-8")
    (tmp_path / "verified").mkdir()
    assert "Tpye" in _verified([unit], tmp_path / "verified")


@pytest.mark.parametrize("unit", _SERVICES, ids=_name)
def test_services_are_hardened(unit: Path):
    analyze = program("systemd-analyze", "systemd", "DEPLOY")
    # In tenths; 10.0 is a service without any restriction.
    arguments = ["security", "--offline=yes", "--threshold=25", "--no-pager", str(unit)]
    done = subprocess.run([analyze, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("unit", _SERVICES, ids=_name)
def test_services_run_commands_that_exist_as_an_ordinary_user(unit: Path):
    (command,) = _values(unit, "ExecStart")
    words = shlex.split(command)
    assert words[0] == _PROGRAM
    arguments = words[1:]
    problem = command_problem(arguments)
    assert problem is None, problem
    assert _values(unit, "User") == ["hpsearch"]
    for variable in re.findall(r"HPSEARCH_[A-Z_]+", unit.read_text(encoding="utf-8")):
        assert variable in {*ENVIRONMENT, *OTHER_VARIABLES}, variable
    assert "hps_" not in "".join(_values(unit, "Environment")), "tokens belong into a file of their own"


def test_the_timer_starts_the_backup_and_the_backup_sees_what_the_server_sees():
    timer = configparser.ConfigParser(interpolation=None)
    timer.read(_DEPLOY / "hpsearch-backup.timer", encoding="utf-8")
    assert timer["Timer"]["Persistent"] == "true"
    assert (_DEPLOY / "hpsearch-backup.service").exists()
    for key in ("Environment", "EnvironmentFile", "User"):
        assert _values(_DEPLOY / "hpsearch-backup.service", key) == _values(_DEPLOY / "hpsearch-server.service", key)


def test_the_slurm_job_is_a_shell_script_that_runs_a_worker():
    script = _DEPLOY / "worker.sbatch"
    subprocess.run(["bash", "-n", str(script)], check=True)
    (line,) = re.findall(r"^exec (hpsearch .*)$", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
    problem = command_problem(shlex.split(line)[1:])
    assert problem is None, problem
