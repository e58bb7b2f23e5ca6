"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from docs.generator.tables import code, table
from hpsearch.cli import failure
from hpsearch.cli.main import app

_HEAD = """\
# Command line

Every command has `--help`; those that print results take `--json`, which prints one JSON document. Results go to
stdout, everything else to stderr. A flag wins over its variable.
"""


def cli_page() -> str:
    """Return the page."""
    root: Any = typer.main.get_command(app)
    parts = [_HEAD, f"{failure.EXIT_CODES}\n"]
    parts += [_section(path, command) for path, command in _commands(["hpsearch"], root)]
    return "\n".join(parts)


def _commands(path: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    for name, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from _commands([*path, name], child)
        else:
            yield [*path, name], child


def _section(path: list[str], command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help" and not p.hidden]
    usage = " ".join([*path, *("[OPTIONS]" if options else "",), *(_metavar(argument) for argument in arguments)])
    return "\n".join(
        [
            f"## {' '.join(path)}\n",
            f"{_text(command.help)}\n",
            f"```text\n{usage}\n```\n",
            table(["argument", "means"], ([code(_metavar(one)), _text(one.help)] for one in arguments)),
            table(
                ["option", "means", "default", "variable"],
                ([_names(one), _text(one.help), _default(one), code(one.envvar or "")] for one in options),
            ),
        ]
    )


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name.strip('[]')}]"


def _names(option: Any) -> str:
    value = "" if option.is_flag else f" {code(option.metavar or 'VALUE')}"
    return ", ".join(code(name) for name in option.opts) + value


def _default(option: Any) -> str:
    if option.default in (None, (), []) or callable(option.default) or (option.is_flag and not option.default):
        return ""
    return code(option.default)


def _text(help_text: str | None) -> str:
    """Return a help text as Markdown: commands stand between double spaces there."""
    plain = re.sub(r"\[/?bold\]", "", help_text or "")
    plain = re.sub(r"(?<=\S)  (hpsearch [^ ].*?)(?:  |$|(?=[.,:;]$))", r" `\1` ", plain)
    plain = re.sub(r"(?<![\w`-])--[a-z][a-z-]*", lambda match: code(match[0]), plain)
    return re.sub(r"[ \t]*\n(?!\n)", "\n", plain).replace("*", "\\*").strip()
