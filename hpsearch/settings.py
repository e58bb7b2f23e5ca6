"""Settings of the service: from the environment, overridden by flags."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from hpsearch.domain.strict import Frozen
from hpsearch.errors import InvalidInputError

# Environment name and field of every setting that has both.
ENVIRONMENT: Final[dict[str, str]] = {
    "HPSEARCH_DATA_DIR": "data_dir",
    "HPSEARCH_DATABASE_URL": "database_url",
    "HPSEARCH_CONTENT": "content",
    "HPSEARCH_LEASE_S": "lease_s",
    "HPSEARCH_HEARTBEAT_S": "heartbeat_s",
    "HPSEARCH_REAPER_S": "reaper_s",
    "HPSEARCH_WORKERS": "workers",
    "HPSEARCH_MAX_UPLOAD_BYTES": "max_upload_bytes",
    "HPSEARCH_MAX_OPEN_STUDIES": "max_open_studies",
    "HPSEARCH_TRUSTED_PROXIES": "trusted_proxies",
}


def _split(raw: Any) -> Any:
    return [part.strip() for part in raw.split(",") if part.strip()] if isinstance(raw, str) else raw


def _network(text: str) -> str:
    ipaddress.ip_network(text)
    return text


# Of addresses and networks such as `10.0.0.0/8`, separated by commas.
_Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_split)]
_Duration = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]


def default_data_dir() -> Path:
    """Return the platform's user data directory for hpsearch."""
    import platformdirs  # noqa: PLC0415 - only the default needs it

    return Path(platformdirs.user_data_dir("hpsearch", appauthor=False))


class Settings(Frozen):
    """Where things are kept and how quick the clocks tick.

    Attributes:
        data_dir: Holds the SQLite file, the local token and, unless they are elsewhere, data sets and models.
        database_url: `sqlite:///…` or `postgresql://…`; empty for the SQLite file in the data directory.
        content: Where data sets and models are kept, see `hpsearch.content.location`; empty for the default.
        lease_s: Seconds until an unreported trial may go to another worker.
        heartbeat_s: Seconds between a worker's reports; below half the lease.
        reaper_s: Seconds between two looks for lapsed leases.
        workers: Local worker processes `hpsearch serve` starts.
        max_upload_bytes: Largest data file accepted.
        max_open_studies: Studies that have not ended, for each token.
        trusted_proxies: Addresses and networks whose `X-Forwarded-For` is believed.
    """

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: str = ""
    content: str = ""
    lease_s: _Duration = 60.0
    heartbeat_s: _Duration = 10.0
    reaper_s: _Duration = 5.0
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    max_upload_bytes: Annotated[int, Field(ge=1)] = 2**30
    max_open_studies: Annotated[int, Field(ge=1)] = 10_000
    trusted_proxies: _Networks = ()

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Return the settings of the environment, overridden by the flags that are not None.

        Raises:
            InvalidInputError: A value is malformed or out of bounds; the message names it.
        """
        environment = os.environ if environment is None else environment
        values: dict[str, Any] = {
            field: environment[name] for name, field in ENVIRONMENT.items() if environment.get(name)
        }
        values |= {field: value for field, value in overrides.items() if value is not None}
        if "data_dir" in values:
            values["data_dir"] = Path(values["data_dir"]).expanduser().absolute()
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            field = str(first["loc"][0])
            name = next((n for n, f in ENVIRONMENT.items() if f == field), field)
            msg = f"{name} can not be {first['input']!r}: {first['msg'][:1].lower()}{first['msg'][1:]}"
            raise InvalidInputError(msg, code="settings.invalid") from None
        if settings.heartbeat_s * 2 > settings.lease_s:
            msg = (
                f"HPSEARCH_HEARTBEAT_S must be at most half of HPSEARCH_LEASE_S, "
                f"received {settings.heartbeat_s} and {settings.lease_s}"
            )
            raise InvalidInputError(msg, code="settings.invalid")
        return settings

    @property
    def resolved_database_url(self) -> str:
        """The database URL, with the default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir / 'hpsearch.sqlite3'}"

    @property
    def token_path(self) -> Path:
        """The local admin token, readable by its owner only."""
        return self.data_dir / "token"

    @property
    def server_path(self) -> Path:
        """Where a running local server leaves its address."""
        return self.data_dir / "server.json"
