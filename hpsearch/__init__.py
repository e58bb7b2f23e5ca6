"""hpsearch: finds the best multilayer perceptron for a data set.

>>> import hpsearch
>>> fitted = hpsearch.fit(frame, target="label", max_trials=50)
>>> fitted.predict(new_rows)

>>> client = hpsearch.Client()
>>> study = client.create(name="churn", data=frame, target="label", space=space)
>>> study.wait().leaderboard()

What is named here is imported when it is used: `import hpsearch` itself costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from hpsearch.client import Client
    from hpsearch.client.objects.model import Model, load
    from hpsearch.client.objects.study import Study
    from hpsearch.interactive.fitting import Fitted, fit
    from hpsearch.interactive.starting import start, stop
    from hpsearch.sklearn import HPSearchClassifier, HPSearchRegressor

__version__ = "0.1.0"

__all__ = [
    "Client",
    "Fitted",
    "HPSearchClassifier",
    "HPSearchRegressor",
    "Model",
    "Study",
    "fit",
    "load",
    "start",
    "stop",
]

_WHERE: Final = {
    "Client": "hpsearch.client",
    "Fitted": "hpsearch.interactive.fitting",
    "HPSearchClassifier": "hpsearch.sklearn",
    "HPSearchRegressor": "hpsearch.sklearn",
    "Model": "hpsearch.client.objects.model",
    "Study": "hpsearch.client.objects.study",
    "fit": "hpsearch.interactive.fitting",
    "load": "hpsearch.client.objects.model",
    "start": "hpsearch.interactive.starting",
    "stop": "hpsearch.interactive.starting",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        msg = f"module 'hpsearch' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(importlib.import_module(_WHERE[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
