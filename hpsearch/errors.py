"""The error tree of hpsearch.

Every error a user can meet is one of these. Each carries a stable ``code`` ("trial.stale_attempt") that clients may
match on; how a code maps to an HTTP status is the API's business and never written here.

    HpsearchError
    ├── InvalidInputError     what was sent can not be used as it is
    │   ├── InvalidStudyError         a study definition that can not work
    │   └── InvalidDatasetError       a data file that can not be read or used
    ├── NotFoundError         the named thing does not exist, or not for this caller
    ├── ConflictError         the request contradicts the present state
    │   ├── StaleAttemptError         a report from an attempt that is no longer current
    │   └── ResultConflictError       a second, different result for a finished attempt
    ├── UnauthenticatedError  no token, or one that is not valid
    ├── ForbiddenError        the token lacks the scope, or the object belongs to another
    ├── LimitError            a cap or quota is reached
    └── UnavailableError      try again later: the outcome of the request is unknown or it was not begun
"""

from __future__ import annotations


class HpsearchError(Exception):
    """Base of all errors; the message is one sentence for the user.

    Args:
        message: What was received, what was expected, what to do.
        code: Stable, dotted, lower-case identifier; the class default when left out.
        details: JSON-safe extra facts for programs.
    """

    code = "hpsearch.error"

    def __init__(self, message: str, *, code: str | None = None, details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.details = details or {}


class InvalidInputError(HpsearchError):
    """What was sent can not be used as it is."""

    code = "input.invalid"


class InvalidStudyError(InvalidInputError):
    """A study definition that can not work."""

    code = "study.invalid"


class InvalidDatasetError(InvalidInputError):
    """A data file that can not be read or used."""

    code = "dataset.invalid"


class NotFoundError(HpsearchError):
    """The named thing does not exist, or does not exist for this caller."""

    code = "not_found"


class ConflictError(HpsearchError):
    """The request contradicts the present state."""

    code = "conflict"


class StaleAttemptError(ConflictError):
    """A report from an attempt that is no longer the current one; nothing was written."""

    code = "trial.stale_attempt"


class ResultConflictError(ConflictError):
    """A second, different result for an attempt that already has one; the first stays."""

    code = "trial.result_conflict"


class UnauthenticatedError(HpsearchError):
    """No token, or one that is not valid."""

    code = "auth.required"


class ForbiddenError(HpsearchError):
    """The token lacks the scope, or the object belongs to another worker."""

    code = "auth.forbidden"


class LimitError(HpsearchError):
    """A cap or quota is reached."""

    code = "limit.reached"


class UnavailableError(HpsearchError):
    """Try again later: the outcome of the request is unknown, or it was not begun.

    Args:
        message: One sentence for the user.
        retry_after_s: Seconds the caller should wait before repeating the identical request.
    """

    code = "server.unavailable"

    def __init__(self, message: str, *, code: str | None = None, retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s
