"""Writes the lock files and installs what they pin, through uv, from wherever the user's pip is told to look.

uv does not read pip's configuration; this script passes it on. Run with the Python of a virtual environment:

    requirements.py lock                        resolve the newest versions that fit
    requirements.py sync [gpu]                  make this environment hold what is pinned, and the checkout
    requirements.py wheel                       build the wheel into dist/
    requirements.py install VENV EXTRA LOCK     put that wheel with one extra, as pinned, into another environment
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_LOCKS: Final = {"": "requirements.lock", "gpu": "requirements-gpu.lock"}
# Without it uv leaves the compiling to whoever imports first, and where they may not write, in a container or with
# PYTHONDONTWRITEBYTECODE, to every process: TensorFlow then takes 9 s of CPU time to import instead of 3.
_COMPILE: Final = "--compile-bytecode"
# pip's setting, the variable uv reads, and whether pip separates several values by spaces and uv by the given sign.
_TRANSLATIONS: Final = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("cert", "SSL_CERT_FILE", ""),
    ("proxy", "ALL_PROXY", ""),
    ("no-index", "UV_NO_INDEX", ""),
)


def pip_settings(listing: str) -> dict[str, str]:
    """Return pip's settings by name, as `pip config list` prints them.

    Args:
        listing: Lines such as `global.index-url='…'`; `:env:` wins over `install`, and `install` over `global`.
    """
    settings: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section):
                settings[name.removeprefix(section)] = value.strip().strip("'\"").replace("\\n", " ")
    return settings


def uv_environment(settings: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with pip's settings in uv's words; what the user told uv itself stays as it is."""
    result = dict(environment)
    for name, variable, separator in _TRANSLATIONS:
        if settings.get(name):
            values = settings[name].split()
            result.setdefault(variable, separator.join(values) if separator else settings[name])
    return result


def _run(*arguments: str, extras: bool = True) -> int:
    """Run `uv pip` where pip would look, or, without extras, at the one index of all files only; return its status."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    settings = pip_settings(listing)
    if not extras:
        settings = {name: value for name, value in settings.items() if name not in ("extra-index-url", "find-links")}
    environment = uv_environment(settings, os.environ)
    return subprocess.run([sys.executable, "-m", "uv", "pip", *arguments], env=environment, check=False).returncode


def lock(extra: str) -> int:
    """Resolve the newest versions that fit and write the lock file; return uv's exit status."""
    wanted = ["--extra", "all", "--group", "dev"]
    if extra:
        # The same versions of everything that both locks hold.
        wanted += ["--extra", extra, "--constraint", _LOCKS[""]]
    # A mirror beside the index may hold a few files of a version; the lock needs the hashes of all of them.
    return _run(
        "compile", "pyproject.toml", *wanted, "--universal", "--python-version", "3.11", "--generate-hashes",
        "--no-emit-index-url", "--upgrade", "--quiet", "--custom-compile-command", "make lock",
        "--output-file", _LOCKS[extra], extras=False,
    )  # fmt: skip


def pinned(lock_text: str, name: str) -> str:
    """Return the lines of a lock file that pin one package with its hashes.

    Raises:
        ValueError: The file does not pin it.
    """
    lines = lock_text.splitlines()
    for start, line in enumerate(lines):
        if line.startswith(f"{name}=="):
            end = next(i for i in range(start, len(lines)) if not lines[i].endswith("\\"))
            return "\n".join(lines[start : end + 1]) + "\n"
    msg = f"the lock file does not pin {name}"
    raise ValueError(msg)


def _bootstrap(file: str) -> int:
    """Install the pinned uv with pip, unless it is there."""
    if importlib.util.find_spec("uv") is not None:
        return 0
    with tempfile.TemporaryDirectory() as folder:
        only = Path(folder) / "uv.lock"
        only.write_text(pinned(Path(file).read_text(), "uv"))
        return _pip("install", "--quiet", "--require-hashes", "--no-deps", "--requirement", str(only))


def _pip(*arguments: str) -> int:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=False).returncode


def sync(extra: str) -> int:
    """Make the environment hold exactly what the lock file pins, and the checkout; return an exit status.

    With hashes pinned it does not matter which index a file comes from, so all may answer, as pip lets them.
    """
    file = _LOCKS[extra]
    status = _bootstrap(file) or _run(
        "sync", file, "--require-hashes", _COMPILE, "--index-strategy", "unsafe-best-match", "--quiet"
    )
    if status != 0:
        print("uv could not install; trying pip itself, which is slower")
        # What is pinned is all there is, and it was resolved with overrides that pip does not know of.
        status = _pip("install", "--require-hashes", "--no-deps", "--requirement", file)
    # The checkout itself, built by the pinned hatchling: nothing is fetched for it.
    return status or _pip("install", "--quiet", "--no-deps", "--no-build-isolation", "--editable", ".")


def _constrained(file: str, *requirements: str) -> int:
    """Install requirements at the versions a lock file pins; it may hold more. What is fetched must have its hashes."""
    return _run(
        "install", "--constraint", file, "--verify-hashes", _COMPILE, "--index-strategy", "unsafe-best-match",
        "--quiet", *requirements,
    )  # fmt: skip


def wheel() -> int:
    """Build the wheel into dist/ with the pinned hatchling; return an exit status."""
    status = _bootstrap(_LOCKS[""]) or _constrained(_LOCKS[""], "hatchling")
    return status or _pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "dist", ".")


def install(environment: str, extra: str, file: str) -> int:
    """Put the built wheel with one extra into another environment; return an exit status."""
    built = sorted(Path("dist").glob("hpsearch-*.whl"))
    if len(built) != 1:
        print(f"dist/ should hold exactly one wheel, found {len(built)}; run  requirements.py wheel  first")
        return 1
    return _constrained(file, "--python", environment, f"hpsearch[{extra}] @ {built[0].resolve().as_uri()}")


def main(arguments: list[str]) -> int:
    """Run one of the verbs; return an exit status."""
    os.chdir(Path(__file__).resolve().parents[1])
    match arguments:
        case ["lock"]:
            return lock("") or lock("gpu")
        case ["sync"]:
            return sync("")
        case ["sync", extra] if extra in _LOCKS:
            return sync(extra)
        case ["wheel"]:
            return wheel()
        case ["install", environment, extra, file]:
            return install(environment, extra, file)
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
