"""Stored JSON keeps the order of its keys where it counts: a space's order decides which points a seed gives."""

from __future__ import annotations

import json
from pathlib import Path

from alembic import command
from sqlalchemy import select, text

from hpsearch.service.context import Context
from hpsearch.service.results import trials as results
from hpsearch.service.studies import crud
from hpsearch.settings import Settings
from hpsearch.storage import migrate
from hpsearch.storage.engine import open_engines, parse_url
from hpsearch.storage.tables import study
from tests.service.fleet_stub import ADMIN, definition, grid

# Neither in the order of the alphabet nor in that of their lengths, which JSONB puts keys in.
_SPACE = {
    "layers": {"type": "int", "low": 0, "high": 3},
    "units": {"values": [8, 16, 32], "per_layer": True},
    "weight_decay": {"type": "float", "low": 1e-7, "high": 1e-2, "log": True},
    "dropout": {"type": "float", "low": 0.0, "high": 0.5},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
}


def _points(url: str, folder: Path) -> list[list[tuple[dict[str, object], int, int | None]]]:
    """Return the parameters, seeds and grid indices of a random study and of a grid, opened anew in between."""
    settings = Settings(data_dir=folder, database_url=url)
    found = []
    for wanted in (definition(space=_SPACE, budget={"max_trials": 12}), grid()):
        ctx = Context.open(settings)
        study_id = crud.create(ctx, ADMIN, wanted).study_id
        ctx.close()
        ctx = Context.open(settings)
        page = results.trials(ctx, study_id, limit=100)
        found.append([(trial.params, trial.seed, trial.grid_index) for trial in page.items])
        ctx.close()
    return found


def test_one_seed_gives_the_same_points_on_every_database(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    assert _points(sqlite_url, tmp_path / "one") == _points(postgres_url, tmp_path / "other")


def test_a_stored_definition_is_migrated_as_it_is(postgres_url: str) -> None:
    stored = '{"b": 1, "space": {"units": 8, "layers": 1}, "a": 0.1}'
    reader, writer = open_engines(parse_url(postgres_url))
    try:
        with writer.connect() as connection:
            config = migrate._config()
            config.attributes["connection"] = connection
            command.downgrade(config, "0005")
            connection.execute(text("ALTER TABLE study DISABLE TRIGGER ALL"))  # no data set is needed here
            columns = {
                column.name: "0" for column in study.c if not column.nullable and column.server_default is None
            } | {"id": "1", "definition": f"'{stored}'", "resolved": "'{}'", "labels": "'{}'", "created_at": "now()"}
            names, values = ", ".join(columns), ", ".join(columns.values())
            statement = f"INSERT INTO study ({names}) VALUES ({values})".replace(":", r"\:")  # noqa: S608 - no input
            connection.execute(text(statement))
            connection.commit()
            command.upgrade(config, "head")
            connection.commit()
            found = connection.execute(select(study.c.definition)).scalar_one()
        assert found == json.loads(stored)
        migrate.check(postgres_url)
    finally:
        reader.dispose()
        writer.dispose()
