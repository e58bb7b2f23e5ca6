"""The migrations make the tables the code knows, on both databases, and can be undone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from hpsearch.storage import migrate
from hpsearch.storage.tables import metadata
from tests.architecture.checkout import ROOT


def test_migrated_tables_are_those_of_the_code(empty_database_url: str):
    before, after = migrate.upgrade(empty_database_url)
    assert before is None
    assert after == migrate.head() == migrate.current(empty_database_url)
    migrate.check(empty_database_url)
    assert migrate.upgrade(empty_database_url) == (after, after), "again changes nothing"


def test_there_is_one_line_of_revisions():
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1


@pytest.mark.parametrize("verb", ["upgrade", "check"])
def test_alembic_itself_works_in_the_checkout(verb: str, sqlite_url: str):
    arguments = [verb, "head"] if verb == "upgrade" else [verb]
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=ROOT, env={"HPSEARCH_DATABASE_URL": sqlite_url, "PATH": str(Path(sys.executable).parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_table_the_migrations_do_not_make_would_be_noticed(sqlite_url: str):
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE replica")
    engine.dispose()
    with pytest.raises(Exception, match="replica"):
        migrate.check(sqlite_url)


def test_everything_can_be_undone(sqlite_url: str):
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        assert set(metadata.tables) <= set(inspect(connection).get_table_names())
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()
        left = set(inspect(connection).get_table_names()) - {"alembic_version", "sqlite_sequence"}
    engine.dispose()
    assert left == set()


def test_the_newest_revision_is_known_without_alembic() -> None:
    assert migrate.head() == ScriptDirectory.from_config(migrate._config()).get_current_head()


def test_a_database_that_is_up_to_date_loads_no_alembic(sqlite_url: str) -> None:
    migrate.upgrade(sqlite_url)
    program = (
        "import sys; from hpsearch.storage.migrate import upgrade\n"
        f"upgrade({sqlite_url!r}); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
