"""People before the page: an application and somebody signed in, without a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from api.app import create_app
from hpsearch.service import tokens
from hpsearch.service.context import Context
from hpsearch.settings import Settings
from hpsearch.wire.tokens import TokenRequest
from tests.api.conftest import Worker, create_study, ending

COOKIE = "hpsearch_session"
# What a browser says of a request that a page of the same server sends.
OWN = {"Sec-Fetch-Site": "same-origin"}
HARM = "<script>alert(1)</script>{{7*7}}"


@dataclass
class Person:
    """Somebody with a session.

    Attributes:
        client: Of the application, without any session of its own.
        token: The raw token in the cookie.
        token_id: Its public id.
    """

    client: TestClient
    token: str
    token_id: str

    def get(self, path: str, **headers: str) -> httpx2.Response:
        """Return what a browser gets that goes to an address."""
        return self._ask("GET", path, {"Accept": "text/html", **headers})

    def part(self, path: str, **headers: str) -> httpx2.Response:
        """Return what htmx gets from an address."""
        return self._ask("GET", path, {"Accept": "text/html", "HX-Request": "true", **headers})

    def post(self, path: str, fields: dict[str, str] | None = None, **options: Any) -> httpx2.Response:
        """Return the answer to a form that htmx sends from a page of the server."""
        headers = {"Accept": "text/html", "HX-Request": "true", **OWN, **options.pop("headers", {})}
        if "content" not in options:
            options["data"] = fields or {}
        return self._ask("POST", path, headers, **options)

    def _ask(self, method: str, path: str, headers: dict[str, str], **options: Any) -> httpx2.Response:
        headers = {"Cookie": f"{COOKIE}={self.token}", **headers}
        return self.client.request(method, path, headers=headers, follow_redirects=False, **options)


@dataclass
class Site:
    """A running application and people with each scope.

    Attributes:
        client: Without a session.
        context: Of the application.
        people: By scope.
    """

    client: TestClient
    context: Context
    people: dict[str, Person]

    def person(self, *scopes: str) -> Person:
        """Return somebody with a fresh token."""
        made = tokens.create(self.context, TokenRequest(name="somebody", scopes=scopes))
        return Person(self.client, made.token, made.token_id)

    @property
    def reader(self) -> Person:
        """Somebody who may look."""
        return self.people["read"]

    @property
    def author(self) -> Person:
        """Somebody who may look, and create and steer studies."""
        return self.people["submit"]

    @property
    def admin(self) -> Person:
        """Somebody who may do everything."""
        return self.people["admin"]

    @property
    def headers(self) -> dict[str, str]:
        """The header of the interface for the admin."""
        return {"Authorization": f"Bearer {self.admin.token}"}


def opened(settings: Settings) -> Iterator[Site]:
    """Give a running application."""
    app = create_app(settings)
    with TestClient(app) as client:
        site = Site(client, app.state.shared.context, {})
        site.people = {
            "read": site.person("read"),
            "submit": site.person("read", "submit"),
            "worker": site.person("worker"),
            "admin": site.person("admin"),
        }
        yield site


@pytest.fixture(scope="module")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An application over SQLite that a module's tests share."""
    yield from opened(Settings(data_dir=tmp_path_factory.mktemp("site")))


@pytest.fixture
def site(shared_site: Site) -> Site:
    """The shared application, its client without the cookies that an earlier test was given."""
    shared_site.client.cookies.clear()
    return shared_site


@pytest.fixture
def fresh(tmp_path: Path, sqlite_url: str) -> Iterator[Site]:
    """An application over an empty SQLite database."""
    yield from opened(Settings(data_dir=tmp_path / "data", database_url=sqlite_url))


@pytest.fixture
def either(settings: Settings) -> Iterator[Site]:
    """An application over an empty database, once of each kind."""
    yield from opened(settings)


@pytest.fixture
def study_id(either: Site) -> str:
    """A study under way: three results, one failed trial, one that runs."""
    headers = either.headers
    found = create_study(either.client, headers, name=HARM, budget={"max_trials": 9}, parallelism=6)
    worker = Worker.register(either.client, headers)
    worker.finish(3)
    (failed,) = worker.claim(1, wait_s=5.0)
    worker.report(ending(failed, state="FAILED", value=None, cause="training_error", detail=HARM))
    (running,) = worker.claim(1, wait_s=5.0)
    worker.report(
        {
            "trial_id": running["trial_id"],
            "attempt": 1,
            "measurements": [{"epoch": 1, "metrics": {"accuracy": 0.25}}],
        }
    )
    return found
