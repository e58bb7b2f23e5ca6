"""The reference of the Python interface: what the packages say they offer, described by its docstrings."""

from __future__ import annotations

import inspect

import hpsearch
from hpsearch import client, errors
from hpsearch.client.client import Client

_HEAD = """\
# Python

What `import hpsearch` offers, then the client with its resources, then the errors. How to use it:
[From a notebook](../python.md).

"""


def python_page(*, has_guide: bool) -> str:
    """Return the page.

    Args:
        has_guide: Whether there is a page on how to use it.
    """
    head = _HEAD if has_guide else _HEAD.partition(" How to use it")[0] + "\n\n"
    offered = [(f"hpsearch.{name}", getattr(hpsearch, name)) for name in getattr(hpsearch, "__all__", ())]
    offered = [(name, thing) for name, thing in offered if thing is not Client]
    parts = [head]
    if offered:
        parts += ["## hpsearch\n", *(_described(name, thing) for name, thing in offered)]
    parts += ["## Client\n", _described("hpsearch.client.Client", Client)]
    for name, resource in inspect.getmembers(_resources(), inspect.isclass):
        parts += [f"### {name.lower()}\n", _described(f"{resource.__module__}.{name}", resource)]
    parts += ["## Errors\n", f"```{{eval-rst}}\n.. automodule:: {errors.__name__}\n```\n"]
    return "\n".join(parts)


def _resources() -> object:
    from hpsearch.client import client as module

    named = {name: thing for name, thing in vars(module).items() if inspect.isclass(thing)}
    kept = {name: thing for name, thing in named.items() if thing.__module__.startswith(f"{client.__name__}.")}
    return type("Resources", (), {name: thing for name, thing in kept.items() if name not in ("Client", "Connection")})


def _described(name: str, thing: object) -> str:
    directive = "autoclass" if inspect.isclass(thing) else "autofunction"
    return f"```{{eval-rst}}\n.. {directive}:: {name}\n```\n"
