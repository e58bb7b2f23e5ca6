"""One authenticated connection to a server: sends requests and turns answers into values or errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, TypeAdapter, ValidationError

import hpsearch
from hpsearch.client.backoff import repeat
from hpsearch.client.problems import error_of, network_errors
from hpsearch.errors import HpsearchError, InvalidInputError

Value = TypeVar("Value")
Body = BaseModel | Mapping[str, Any]

DEFAULT_TIMEOUT_S: Final = 30.0
# Downloads and uploads may take long; a silence of this many seconds ends them.
_TRANSFER_SILENCE_S: Final = 120.0
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def segment(identifier: str) -> str:
    """Return an identifier as one segment of a path, whatever characters it holds."""
    if identifier in ("", ".", ".."):
        msg = f"an id can not be {identifier!r}"
        raise InvalidInputError(msg, code="request.invalid")
    return quote(identifier, safe="")


class Connection:
    """One server, one token.

    Redirects are never followed (the token would go along) and TLS certificates are always verified.

    Args:
        base_url: `http://…` or `https://…`.
        token: Bearer token; None sends none.
        timeout_s: Seconds to wait for a connection and for each answer.
        attempts: How often a request that is safe to repeat is sent in total while the server is unavailable.
        transport: Replaces the network, in tests.

    Raises:
        InvalidInputError: The address or the token can not be used.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        attempts: int = 1,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        self._attempts = attempts
        self._transport = transport
        self._open(base_url, token)

    def _open(self, base_url: str, token: str | None) -> None:
        self.url = base_url.strip().rstrip("/")
        self._token = token
        parsed = _parsed(self.url)
        headers = {"User-Agent": f"hpsearch/{hpsearch.__version__}", "Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {_checked_token(token)}"
        # A proxy of the environment never stands between two processes of one machine.
        local = parsed.host in _LOOPBACK
        self._http = httpx2.Client(
            base_url=self.url,
            headers=headers,
            timeout=self.timeout_s,
            transport=self._transport,
            trust_env=not local,
            follow_redirects=False,
        )

    def move(self, base_url: str, token: str | None) -> None:
        """Go on with a server at another address; requests in flight in other threads fail."""
        if (base_url.strip().rstrip("/"), token) != (self.url, self._token):
            self._http.close()
            self._open(base_url, token)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Body | None = None,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        wait_s: float = 0.0,
    ) -> httpx2.Response:
        """Return the answer of a request that was accepted (2xx or 304).

        Args:
            method: HTTP verb.
            path: Below the base address.
            body: Sent as JSON.
            params: Query; those that are None are left out.
            headers: Besides the usual ones.
            repeatable: Whether it may be sent again when its outcome is unknown; None for all but POST.
            wait_s: Seconds the server itself may wait before it answers.

        Raises:
            HpsearchError: The server refused or can not be reached.
        """
        content = None if body is None else _json(body)
        sent_headers = dict(headers or {}) | ({} if content is None else {"Content-Type": "application/json"})

        def call() -> httpx2.Response:
            with network_errors(self.url):
                response = self._http.request(
                    method,
                    path,
                    content=content,
                    params=_query(params),
                    headers=sent_headers,
                    timeout=self.timeout_s + wait_s,
                )
            return self._accepted(response)

        may_repeat = method != "POST" if repeatable is None else repeatable
        return repeat(call, attempts=self._attempts if may_repeat else 1)

    def call(self, kind: type[Value], method: str, path: str, **request: Any) -> Value:
        """Return the answer's body as a value of the given type; the arguments are those of `send`."""
        return self.read(kind, self.send(method, path, **request))

    def read(self, kind: type[Value], response: httpx2.Response) -> Value:
        """Return the body of an answer as a value of the given type.

        Raises:
            HpsearchError: With code `server.not_understood`: the body is not what this version expects.
        """
        try:
            return TypeAdapter(kind).validate_json(response.content)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole"
            msg = (
                f"{self.url} answered {response.request.url.path} with something this version of hpsearch does not "
                f"understand ({where}: {first['msg']}); is it an hpsearch server of a matching version?"
            )
            raise HpsearchError(msg, code="server.not_understood") from None

    def upload(self, method: str, path: str, **request: Any) -> httpx2.Response:
        """Return the answer to a request with a large body, sent once; the arguments are those of httpx2."""
        timeout = httpx2.Timeout(self.timeout_s, read=_TRANSFER_SILENCE_S, write=_TRANSFER_SILENCE_S)
        with network_errors(self.url):
            response = self._http.request(method, path, timeout=timeout, **request)
        return self._accepted(response)

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, object] | None = None,
        silence_s: float = _TRANSFER_SILENCE_S,
    ) -> Iterator[httpx2.Response]:
        """Yield an accepted answer whose body is still to be read.

        Args:
            path: Below the base address.
            headers: Besides the usual ones.
            params: Query.
            silence_s: Seconds without a byte after which the connection counts as broken.
        """
        timeout = httpx2.Timeout(self.timeout_s, read=silence_s)
        with (
            network_errors(self.url),
            self._http.stream(
                "GET", path, headers=dict(headers or {}), params=_query(params), timeout=timeout
            ) as response,
        ):
            if not response.is_success:
                response.read()
                raise error_of(response, self.url)
            yield response

    def _accepted(self, response: httpx2.Response) -> httpx2.Response:
        if response.is_success or response.status_code == HTTPStatus.NOT_MODIFIED:
            return response
        raise error_of(response, self.url)


def _query(params: Mapping[str, object] | None) -> dict[str, str]:
    return {key: str(value) for key, value in (params or {}).items() if value is not None}


def _json(body: Body) -> bytes:
    if isinstance(body, BaseModel):
        return body.model_dump_json(exclude_unset=True).encode()
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        msg = f"what was given can not be sent as JSON: {error}"
        raise InvalidInputError(msg, code="request.invalid") from None


def _parsed(url: str) -> httpx2.URL:
    try:
        urlsplit(url).port  # noqa: B018 - stricter than httpx2: a bad bracket or port is an error here
        parsed = httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo or parsed.query or parsed.fragment:
        msg = f"the server's address must look like http://host:port or https://host, received {url!r}"
        raise InvalidInputError(msg, code="server.bad_url")
    return parsed


def _checked_token(token: str) -> str:
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        msg = "the token must be a single line of letters, digits and signs such as hps_…, received something else"
        raise InvalidInputError(msg, code="auth.bad_token")
    return token
