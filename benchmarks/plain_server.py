"""The plainest queue one could write with FastAPI, SQLAlchemy and PostgreSQL: what machine and libraries give.

It takes the requests of `benchmarks.http` and answers them with one short transaction each, and does nothing else: no
tokens, no event log, no idempotency, no budget, no leases that anybody would look at, no parameters drawn. How many
requests a second it takes says how fast a machine is; what the real server takes, divided by that, can be compared
between machines.

    python -m benchmarks.plain_server DATABASE_URL FILE_FOR_THE_ADDRESS
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import (
    JSON,
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    insert,
    select,
    update,
)

_N_TRIALS: Final = 20_000

_metadata = MetaData()
_trials = Table(
    "trials",
    _metadata,
    Column("id", Integer, primary_key=True),
    Column("state", Text, nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("worker", Text),
    Column("params", JSON, nullable=False),
    Column("value", Float),
    Column("outcome", JSON),
)
_measurements = Table(
    "measurements",
    _metadata,
    Column("trial_id", Integer, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("metrics", JSON, nullable=False),
)


class _Claim(BaseModel):
    claim_id: str
    max_trials: int
    wait_s: float


class _Measurement(BaseModel):
    epoch: int
    metrics: dict[str, float]


class _Report(BaseModel):
    trial_id: int
    attempt: int
    measurements: list[_Measurement] = []
    outcome: dict[str, Any] | None = None


class _Reports(BaseModel):
    reports: list[_Report]


def create_app(engine: Engine) -> FastAPI:
    """Return the application.

    Args:
        engine: Of an empty database; it is filled with trials that wait.
    """
    _metadata.create_all(engine)
    with engine.begin() as connection:
        row = {"state": "WAITING", "attempt": 0, "params": {"layers": 1, "units": 8, "learning_rate": 0.01}}
        connection.execute(insert(_trials), [row] * _N_TRIALS)
    app = FastAPI()

    @app.post("/v1/workers")
    def register(_body: dict[str, Any]) -> dict[str, str]:
        return {"worker_id": "worker"}

    @app.post("/v1/workers/{worker_id}/claims")
    def claim(worker_id: str, _body: _Claim) -> dict[str, Any]:
        with engine.begin() as connection:
            waiting = (
                select(_trials.c.id, _trials.c.attempt, _trials.c.params)
                .where(_trials.c.state == "WAITING")
                .limit(1)
                .with_for_update(skip_locked=True)
            )
            trial = connection.execute(waiting).one_or_none()
            if trial is None:
                return {"trials": []}
            taken = {"state": "RUNNING", "attempt": trial.attempt + 1, "worker": worker_id}
            connection.execute(update(_trials).where(_trials.c.id == trial.id).values(**taken))
        return {"trials": [{"trial_id": trial.id, "attempt": trial.attempt + 1, "params": trial.params}]}

    @app.post("/v1/workers/{worker_id}/reports")
    def report(worker_id: str, body: _Reports) -> dict[str, Any]:
        with engine.begin() as connection:
            for entry in body.reports:
                own = (_trials.c.id == entry.trial_id) & (_trials.c.attempt == entry.attempt)
                changed: dict[str, Any] = {"worker": worker_id}
                if entry.outcome is not None:
                    changed = {"state": "COMPLETE", "value": entry.outcome["value"], "outcome": entry.outcome}
                connection.execute(update(_trials).where(own).values(**changed))
                key = {"trial_id": entry.trial_id, "attempt": entry.attempt}
                if entry.measurements:
                    rows = [key | measurement.model_dump() for measurement in entry.measurements]
                    connection.execute(insert(_measurements), rows)
        return {"results": [{"status": "ok"} for _ in body.reports]}

    return app


def main() -> None:
    """Serve on a free port until asked to end, and write the address into a file."""
    database_url, address_file = sys.argv[1:]
    app = create_app(create_engine(database_url, pool_size=10))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Renamed, so that nobody finds it half written.
        new = Path(f"{address_file}.new")
        new.write_text(f"http://127.0.0.1:{listener.getsockname()[1]}")
        new.rename(address_file)
        uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])


if __name__ == "__main__":
    main()
