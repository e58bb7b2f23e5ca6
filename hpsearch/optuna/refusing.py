"""The writing half of Optuna's storage interface, refused."""

from __future__ import annotations

from typing import Any, NoReturn

from optuna.storages import BaseStorage

from hpsearch.errors import ForbiddenError


class RefusesToWrite(BaseStorage):
    """A storage whose writing methods raise a ForbiddenError, with code `optuna.read_only`."""

    def create_new_study(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("create a study")

    def delete_study(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("delete a study")

    def set_study_user_attr(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("change a study")

    def set_study_system_attr(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("change a study")

    def create_new_trial(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("create a trial")

    def set_trial_param(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("change a trial")

    def set_trial_state_values(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("end a trial")

    def set_trial_intermediate_value(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("change a trial")

    def set_trial_user_attr(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("change a trial")

    def set_trial_system_attr(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        _refuse("change a trial")


def _refuse(what: str) -> NoReturn:
    msg = f"this storage can not {what}: it only reads; use hpsearch.Client to change what is on the server"
    raise ForbiddenError(msg, code="optuna.read_only")
