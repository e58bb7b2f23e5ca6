"""Maps problem documents and transport errors to the errors of hpsearch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx2

from hpsearch.errors import (
    ConflictError,
    ForbiddenError,
    HpsearchError,
    InvalidDatasetError,
    InvalidInputError,
    InvalidStudyError,
    LimitError,
    NotFoundError,
    ResultConflictError,
    StaleAttemptError,
    UnauthenticatedError,
    UnavailableError,
)

# Members of a problem document that are not extra facts.
_PLAIN_MEMBERS: Final = frozenset({"type", "title", "status", "detail", "instance", "code"})
_MAX_MESSAGE_CHARACTERS: Final = 4_000
_DEFAULT_WAIT_S: Final = 1.0


def error_of(response: httpx2.Response, url: str) -> HpsearchError:
    """Return the error a refusing answer stands for; its body must have been read.

    Args:
        response: Any answer whose status is not 2xx.
        url: Of the server, for the sentence.
    """
    status = response.status_code
    if response.is_redirect or status < HTTPStatus.BAD_REQUEST:
        return _redirect(response, url)
    problem = _problem(response)
    code = problem.get("code") if isinstance(problem.get("code"), str) else None
    message = _message(problem, response, url)
    details = {key: value for key, value in problem.items() if key not in _PLAIN_MEMBERS}
    wait_s = _retry_after_s(response.headers)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return UnavailableError(message, code=code, retry_after_s=_DEFAULT_WAIT_S if wait_s is None else wait_s)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        details["retry_after_s"] = _DEFAULT_WAIT_S if wait_s is None else wait_s
    return _class_of(status, code or "")(message, code=code, details=details)


def _class_of(status: int, code: str) -> type[HpsearchError]:  # noqa: PLR0911 - a table with one line per case
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return UnauthenticatedError
        case HTTPStatus.FORBIDDEN:
            return ForbiddenError
        case HTTPStatus.NOT_FOUND | HTTPStatus.GONE:
            return NotFoundError
        case HTTPStatus.CONFLICT:
            return {"trial.stale_attempt": StaleAttemptError, "trial.result_conflict": ResultConflictError}.get(
                code, ConflictError
            )
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return LimitError
        case _ if code.startswith(("study.", "point.")):
            return InvalidStudyError
        case _ if code.startswith("dataset."):
            return InvalidDatasetError
        case _:
            return InvalidInputError


def _redirect(response: httpx2.Response, url: str) -> HpsearchError:
    target = response.headers.get("location", "another address")
    return HpsearchError(
        f"the server at {url} redirects to {_shown(target)}; redirects are not followed, because the token would go "
        f"with them: give the final address as the server",
        code="server.redirect",
    )


def _problem(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _message(problem: Mapping[str, Any], response: httpx2.Response, url: str) -> str:
    for member in ("detail", "title"):
        text = problem.get(member)
        if isinstance(text, str) and text:
            return text[:_MAX_MESSAGE_CHARACTERS]
    return f"the server at {url} answered {response.status_code} {response.reason_phrase} without saying why"


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a `Retry-After` header in either of its two forms, or None."""
    raw = headers.get("retry-after", "").strip()
    if raw.isdigit():
        return float(raw[:9])
    try:
        at = parsedate_to_datetime(raw)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _shown(text: str) -> str:
    return repr(text[:200])


@contextmanager
def network_errors(url: str) -> Iterator[None]:
    """Turn every error of the network within the block into one of ours.

    Args:
        url: Of the server, for the sentence.

    Raises:
        UnavailableError: No connection, a broken one, or no answer in time.
        InvalidInputError: The address or a header can not be sent at all.
    """
    try:
        yield
    except httpx2.ConnectTimeout:
        raise _unreachable(url, "no connection in time") from None
    except httpx2.TimeoutException:
        raise _unreachable(url, "no answer in time") from None
    except httpx2.ConnectError as error:
        raise _unreachable(url, str(error) or "no connection") from None
    except httpx2.LocalProtocolError as error:
        msg = f"a request to {url} can not be sent: {error}"
        raise InvalidInputError(msg, code="request.invalid") from None
    except httpx2.UnsupportedProtocol as error:
        msg = f"the server's address must begin with http:// or https://, received {_shown(url)} ({error})"
        raise InvalidInputError(msg, code="server.bad_url") from None
    except httpx2.HTTPError as error:
        raise _unreachable(url, f"the connection broke: {str(error) or type(error).__name__}") from None


def _unreachable(url: str, reason: str) -> UnavailableError:
    message = f"the server at {url} can not be reached ({reason}); is it running, and is the address right?"
    return UnavailableError(message, code="server.unreachable", retry_after_s=0.0)
