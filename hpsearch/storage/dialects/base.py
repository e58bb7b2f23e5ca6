"""What storage asks of a database, and what differs from one to the next.

A database has transactions, foreign keys, partial indexes, `RETURNING` and `ON CONFLICT`, and the statements of the
repositories are the same for all. What differs is here: a database is a class derived from `Dialect`, in a file beside
this one, and one line in the registry. `hpsearch.testing.store_conformance` tests what storage expects of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any, ClassVar

from sqlalchemy import URL, Column, ColumnElement, Connection, Double, Engine, Table
from sqlalchemy import Dialect as Driver
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

Insert = sqlite.Insert | postgresql.Insert


class DatabaseNow(FunctionElement[float]):
    """Seconds since the epoch on the clock of the database, read anew by each statement.

    A dialect whose database several servers share says how it is written, with `sqlalchemy.ext.compiler.compiles`.
    """

    name = "database_now"
    type = Double()
    inherit_cache = True


class Dialect(ABC):
    """One database that studies can be stored in.

    Attributes:
        name: As the URL and SQLAlchemy's dialect name it.
        product: Name for people.
        example: A URL, for messages.
        has_one_writer: One process at a time opens the database for writing, and its transactions follow one another:
            rows need no locks, and the process tells the time of leases. Otherwise several servers share the database,
            rows are locked, and the database tells the time (`DatabaseNow`).
        n_places: Requests of workers worth answering side by side, see `api/limits`.
        copy_name: What a whole copy of the database is called in a backup.
        json_type: Type of the columns whose JSON is searched.
        ordered_json_type: Type of the columns whose JSON keeps the order of its keys.
        id_type: Type of primary keys that the database numbers.
        transaction_number: Number of the writing transaction, by which events are ordered before their ids; 0 where
            transactions follow one another.
    """

    name: ClassVar[str]
    product: ClassVar[str]
    example: ClassVar[str]
    has_one_writer: ClassVar[bool]
    n_places: ClassVar[int]
    copy_name: ClassVar[str]
    json_type: ClassVar[TypeEngine[Any]]
    ordered_json_type: ClassVar[TypeEngine[Any]]
    id_type: ClassVar[TypeEngine[int]]
    transaction_number: ClassVar[ColumnElement[int]]

    # Addresses and connections

    def check(self, url: URL) -> None:  # noqa: B027 - most addresses need no more than SQLAlchemy asks
        """Return when an address can be one.

        Raises:
            InvalidInputError: It lacks something.
        """

    @abstractmethod
    def open_engines(self, url: URL, *, pool_size: int) -> tuple[Engine, Engine]:
        """Return the engines for reading and for writing; they may be one.

        A reading transaction sees committed rows; on a database with one writer it sees those of one moment.
        """

    @abstractmethod
    def writer(self, engine: Engine) -> Callable[[], AbstractContextManager[Connection]]:
        """Return what opens a writing transaction: committed when its body ends, undone when it raises.

        Called once for each store. A commit that fails raises from the context manager, for each body it was of.
        """

    @abstractmethod
    def version(self, driver: Driver) -> str:
        """Return the version of the database; empty where it is not known before the first contact."""

    @abstractmethod
    def file_of(self, url: URL) -> Path | None:
        """Return the file that a database is; None for a server."""

    @abstractmethod
    def claim(self, url: URL) -> IO[str] | None:
        """Keep other servers off the database for as long as the returned file is open; None where they share it.

        Raises:
            ConflictError: Another process has claimed it.
            InvalidInputError: Its file is where no claim holds.
        """

    # Statements

    @abstractmethod
    def insert(self, table: Table) -> Insert:
        """Return an INSERT that has `on_conflict_do_nothing` and `on_conflict_do_update`."""

    @abstractmethod
    def has_entry(self, column: Column[Any], key: str, value: str | None) -> ColumnElement[bool]:
        """Return the condition that a JSON object has a text under a key, whatever the key holds; None takes any."""

    @abstractmethod
    def oldest_open_transaction(self, connection: Connection) -> int | None:
        """Return the number below which no transaction can commit any more; None where there never is such a one.

        The number is of the same kind as `transaction_number`.
        """

    @abstractmethod
    def advisory_lock(self, connection: Connection, number: int) -> None:
        """Let no other transaction that asks for this number go on before the present one ends."""

    # Failures

    @abstractmethod
    def is_disk_full(self, error: BaseException | None) -> bool:
        """Return whether an error of the driver is that the disk takes no more data."""

    def is_foreign_file(self, error: BaseException | None) -> bool:  # noqa: ARG002
        """Return whether an error of the driver is that the file is of some other kind."""
        return False

    # Whole copies

    @abstractmethod
    def snapshot_engine(self, reader: Engine, writer: Engine) -> Engine:
        """Return the engine whose transactions see the database as it is at one moment."""

    @abstractmethod
    def copy(self, connection: Connection, target: Path) -> None:
        """Write what a transaction of the snapshot engine sees into a file that is not there yet.

        Raises:
            HpsearchError: A program that is needed is not installed.
            UnavailableError: The copy failed.
        """

    @abstractmethod
    def url_of_copy(self, copy: Path) -> str | None:
        """Return the address of a copy that is a database itself; None where it must be put in place first."""

    @abstractmethod
    def replace(self, url: URL, source: Path, tables: Sequence[str]) -> None:
        """Make a copy the database, in one step: afterwards it is the old one or the new one, never a mixture.

        Args:
            url: Of the database.
            source: As written by `copy`; it may be moved.
            tables: All that hpsearch ever made there.

        Raises:
            UnavailableError: The database refused it and is as it was.
        """
