"""One PostgreSQL for the session, a fresh database for each test."""

import itertools
from collections.abc import Iterator

import pytest

from switch.store.testing import TemporaryPostgres, temporary_postgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[TemporaryPostgres]:
    """A running embedded server."""
    with temporary_postgres() as server:
        yield server


@pytest.fixture
def dsn(postgres: TemporaryPostgres) -> str:
    """An empty database."""
    return postgres.fresh_database(f"test_{next(_numbers)}")
