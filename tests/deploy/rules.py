"""What must be true of docker-compose.yml and the Dockerfile for the code they run; each breach is one sentence."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import typer

from hpsearch.cli.main import app as cli
from hpsearch.errors import InvalidInputError
from hpsearch.settings import ENVIRONMENT
from hpsearch.storage.engine import parse_url

# Variables the command line or the server reads beside those of Settings.
OTHER_VARIABLES: Final = frozenset({"HPSEARCH_SERVER", "HPSEARCH_TOKEN", "HPSEARCH_ALLOWED_HOSTS"})
_SECRET: Final = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY|DATABASE_URL")
_INTERPOLATED: Final = re.compile(r"\$\{(\w+)(?::?[-?][^}]*)?\}")


@dataclass(frozen=True)
class Stage:
    """One stage of a Dockerfile: its base and its instructions, those of the bases in this file first."""

    base: str
    instructions: tuple[tuple[str, str], ...]

    def last(self, keyword: str) -> str | None:
        """Return the argument of the last such instruction."""
        return next((text for word, text in reversed(self.instructions) if word == keyword), None)


def stages(dockerfile: str) -> dict[str, Stage]:
    """Return the stages of a Dockerfile by name."""
    lines = [line for line in dockerfile.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]
    found: dict[str, Stage] = {}
    for line in lines:
        word, _, text = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = text.partition(" AS ")
            inherited = found[base].instructions if base in found else ()
            found[name] = Stage(base, inherited)
        elif found:
            name = list(found)[-1]
            found[name] = Stage(found[name].base, (*found[name].instructions, (word, text)))
    return found


def commands(service: Mapping[str, Any], stage: Stage) -> list[list[str]]:
    """Return every hpsearch command a service runs, as lists of arguments without the program's name."""
    entrypoint = service.get("entrypoint")
    given = service.get("command") or []
    if entrypoint is None:
        entrypoint = yaml_list(stage.last("ENTRYPOINT"))
        given = given or yaml_list(stage.last("CMD"))
    words = [*entrypoint, *given]
    if words[:2] != ["sh", "-c"]:
        return [words[1:]] if words[:1] == ["hpsearch"] else []
    script = str(words[2]).replace("$$", "$")
    parts = re.split(r";|&&|\|\||[{}]", script)
    found = []
    for part in parts:
        tokens = shlex.split(part)
        if "hpsearch" in tokens:
            arguments = tokens[tokens.index("hpsearch") + 1 :]
            found.append(arguments[: arguments.index(">")] if ">" in arguments else arguments)
    return found


def yaml_list(text: str | None) -> list[str]:
    """Return the words of an ENTRYPOINT or CMD in its list form."""
    return re.findall(r'"([^"]*)"', text or "")


def command_problem(arguments: list[str]) -> str | None:
    """Return what is wrong with an hpsearch command line; None when it would be accepted."""
    command: Any = typer.main.get_command(cli)
    rest = list(arguments)
    name = "hpsearch"
    while hasattr(command, "commands"):
        if not rest or rest[0] not in command.commands:
            return f"{name} has no command {rest[0] if rest else '(none)'}"
        name = f"{name} {rest[0]}"
        command = command.commands[rest.pop(0)]
    try:
        command.make_context(name, rest)
    except typer.TyperException as error:
        return f"{name}: {error.format_message()}"
    except Exception as error:  # noqa: BLE001 - whatever the parser says is what is wrong
        return f"{name}: {error}"
    return None


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """Return a compose value with its variables filled in."""
    return _INTERPOLATED.sub(lambda match: values.get(match[1], "x"), text)


def problems(compose: Mapping[str, Any], dockerfile: str, root: Path) -> list[str]:
    """Return every breach found, as sentences; an empty list when all is well.

    Args:
        compose: The parsed docker-compose.yml.
        dockerfile: The Dockerfile's text.
        root: The checkout they build from.
    """
    built = stages(dockerfile)
    unknown = [name for name, service in ours(compose).items() if service["build"].get("target") not in built]
    if unknown:
        return [f"{name}: the Dockerfile has no stage {ours(compose)[name]['build'].get('target')}" for name in unknown]
    return [
        *_service_problems(compose, built),
        *_port_problems(compose, built),
        *_address_problems(compose, built),
        *_volume_problems(compose, built),
        *_secret_problems(compose),
        *_dockerfile_problems(built, dockerfile, root),
    ]


def ours(compose: Mapping[str, Any]) -> dict[str, Any]:
    """Return the services that run hpsearch."""
    return {name: service for name, service in compose["services"].items() if "build" in service}


def _service_problems(compose: Mapping[str, Any], built: Mapping[str, Stage]) -> Iterator[str]:
    for name, service in ours(compose).items():
        for variable in service.get("environment", {}):
            if variable.startswith("HPSEARCH_") and variable not in {*ENVIRONMENT, *OTHER_VARIABLES}:
                yield f"{name}: the code reads no variable {variable}"
        found = commands(service, built[service["build"]["target"]])
        if not found:
            yield f"{name}: runs no hpsearch command"
        for arguments in found:
            problem = command_problem(arguments)
            if problem:
                yield f"{name}: {problem}"
        for other in service.get("depends_on", {}):
            if other not in compose["services"]:
                yield f"{name}: depends on {other}, which is no service"


def _option(arguments: list[str], name: str) -> str | None:
    return arguments[arguments.index(name) + 1] if name in arguments else None


def _server_port(compose: Mapping[str, Any], built: Mapping[str, Stage]) -> str | None:
    serving = commands(compose["services"]["server"], built["server"])
    return next((_option(arguments, "--port") for arguments in serving if arguments[0] == "serve"), None)


def _port_problems(compose: Mapping[str, Any], built: Mapping[str, Stage]) -> Iterator[str]:
    server, port = compose["services"]["server"], _server_port(compose, built)
    published = [str(entry).rpartition(":") for entry in server.get("ports", [])]
    if not published or any(inside != port for _, _, inside in published):
        yield f"server: listens on {port}, but publishes {server.get('ports')}"
    if any(not outside.startswith("127.0.0.1:") for outside, _, _ in published):
        yield "server: plain HTTP is published beyond this machine"
    probe = re.search(r"http://[^'\"]+", " ".join(server["healthcheck"]["test"]))
    if probe is None or urlsplit(probe[0]).port != int(port or 0):
        yield f"server: listens on {port}, but its health is asked at {probe and probe[0]}"
    if built["server"].last("EXPOSE") != port:
        yield f"Dockerfile: exposes {built['server'].last('EXPOSE')}, but the server listens on {port}"


def _address_problems(compose: Mapping[str, Any], built: Mapping[str, Stage]) -> Iterator[str]:
    services, port = compose["services"], _server_port(compose, built)
    database = services["postgres"]["environment"]
    wanted = ("postgres", database["POSTGRES_USER"], database["POSTGRES_DB"])
    for name, service in ours(compose).items():
        for arguments in commands(service, built[service["build"]["target"]]):
            address = urlsplit(_option(arguments, "--server") or "")
            if address.netloc and (address.hostname not in services or str(address.port) != port):
                yield f"{name}: there is no server at {address.geturl()}"
        raw = service.get("environment", {}).get("HPSEARCH_DATABASE_URL")
        if raw is None:
            continue
        try:
            url = parse_url(interpolated(raw, {"POSTGRES_PASSWORD": "secret"}))
        except InvalidInputError as error:
            yield f"{name}: {error.message}"
            continue
        if (url.host, url.username, url.database) != wanted:
            yield f"{name}: HPSEARCH_DATABASE_URL does not name the database of the service postgres"


def _volume_problems(compose: Mapping[str, Any], built: Mapping[str, Stage]) -> Iterator[str]:
    declared = set(compose.get("volumes", {}))
    mounts = {
        name: {str(entry).split(":")[1]: str(entry).split(":")[0] for entry in service.get("volumes", [])}
        for name, service in compose["services"].items()
    }
    for name, own in mounts.items():
        for volume in own.values():
            if volume not in declared:
                yield f"{name}: the volume {volume} is not declared"
    for name in ("server", "prepare"):
        service = compose["services"][name]
        folder = service["environment"]["HPSEARCH_DATA_DIR"]
        if folder not in mounts[name]:
            yield f"{name}: {folder} is lost with the container"
    for name, service in ours(compose).items():
        stage = built[service["build"]["target"]]
        made = " ".join(text for word, text in stage.instructions if word == "RUN")
        for folder in (*mounts[name], service.get("environment", {}).get("HPSEARCH_DATA_DIR", "/data")):
            if not re.search(rf"install -d -o hpsearch -g hpsearch[^&]* {re.escape(folder)}\b", made):
                yield f"{name}: {folder} does not belong to the container's user"


def _secret_problems(compose: Mapping[str, Any]) -> Iterator[str]:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if _SECRET.search(variable) and not re.search(r"\$\{\w+:\?", str(value)):
                yield f"{name}: {variable} is written into the file, or may be empty"


def _dockerfile_problems(built: Mapping[str, Stage], dockerfile: str, root: Path) -> Iterator[str]:
    ignored = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    for line in dockerfile.splitlines():
        word, _, text = line.partition(" ")
        if word != "COPY" or text.startswith("--from="):
            continue
        for source in text.split()[:-1]:
            if not (root / source).exists():
                yield f"Dockerfile: copies {source}, which does not exist"
            if Path(source).parts[0] not in kept:
                yield f"Dockerfile: copies {source}, which .dockerignore leaves out"
    for name in ("server", "worker"):
        if built[name].last("USER") in (None, "root", "0"):
            yield f"Dockerfile: {name} runs as root"
