"""hpsearch: finds the best multilayer perceptron for a data set.

>>> import hpsearch
>>> client = hpsearch.Client()
>>> study = client.create(name="churn", data=frame, target="label", space=space)
>>> study.wait().leaderboard()
>>> study.model().predict(new_rows)

What is named here is imported when it is used: `import hpsearch` itself costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hpsearch.client import Client
    from hpsearch.interactive.model import Model, load
    from hpsearch.interactive.study import Study

__version__ = "0.1.0"

__all__ = ["Client", "Model", "Study", "load"]

_WHERE: Final = {
    "Client": "hpsearch.client",
    "Model": "hpsearch.interactive.model",
    "Study": "hpsearch.interactive.study",
    "load": "hpsearch.interactive.model",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        msg = f"module 'hpsearch' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
