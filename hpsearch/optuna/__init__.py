"""To Optuna and from it: studies as Optuna's, Optuna's studies as ours, and a storage its tools can read.

    >>> hpsearch.optuna.to_optuna(client.study("digits")).trials_dataframe()
    >>> optuna.load_study(study_name="digits", storage=hpsearch.optuna.ReadOnlyStorage())
    >>> hpsearch.optuna.import_study(client, optuna_study, data=frame, target="label")

Within this package `import optuna` means Optuna itself: imports are absolute.
"""

from hpsearch.optuna.exporting import to_optuna
from hpsearch.optuna.importing import import_study
from hpsearch.optuna.storage import ReadOnlyStorage

__all__ = ["ReadOnlyStorage", "import_study", "to_optuna"]
