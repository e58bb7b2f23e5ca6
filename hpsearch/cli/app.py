"""Typer subclasses of the application: help without metavars that say nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


def _without_types(parameters: list[Any]) -> list[Any]:
    """Return parameters of which a switch is no `<bool>` and an argument no `<str>` in the help."""
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = _nothing
        elif parameter.is_flag and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


def _nothing(ctx: typer.Context) -> None:  # noqa: ARG001 - as Typer calls it
    return None


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _without_types(super().get_params(ctx))


class App(typer.Typer):
    """A Typer application with such help; takes the same arguments."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(cls=_Group, **settings)

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Return what registers a function as a command, as Typer does."""
        return super().command(name, cls=_Command, **settings)
