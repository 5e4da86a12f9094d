"""What the database itself refuses, whoever asks: lost history, changed keys, two active ones."""

from typing import Any

import psycopg2
import pytest

ROW = (
    "INSERT INTO stored_key (name, version, usage, key_type, scheme, lmk_id, held, check_value,"
    " state, terminal, changed_by) VALUES ('{0}', {1}, '{2}', '000', 'U', '00', '{3}', '{4}',"
    " '{5}', 't', 'test')"
)
KEPT = ROW.format("tmk", 1, "TMK", "U1", "0123456789ABCDEF", "active")
EVENT = (
    "INSERT INTO stored_key_event (by_whom, what, name, version, check_value)"
    " VALUES ('a', 'add', 'tmk', 1, '0')"
)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM stored_key",
        "TRUNCATE stored_key",
        "UPDATE stored_key SET name = 'other'",
        "UPDATE stored_key SET check_value = '000000'",
        "UPDATE stored_key SET held = 'U2'",
        "UPDATE stored_key SET usage = 'ZPK'",
        "UPDATE stored_key SET state = 'destroyed'",
        "UPDATE stored_key SET held = ''",
        "DELETE FROM stored_key_event",
        "UPDATE stored_key_event SET by_whom = 'b'",
        "TRUNCATE stored_key_event",
        ROW.format("tmk", 2, "ZPK", "U2", "FFFFFFFFFFFFFFFF", "active"),
        ROW.format("tmk", 1, "ZPK", "U2", "FFFFFFFFFFFFFFFF", "retired"),
        ROW.format("pad", 1, "TPK", "U2", "0123456789ABCDEF", "pending"),
        ROW.format("Bad Name", 1, "ZPK", "U2", "FFFFFFFFFFFFFFFF", "active"),
        ROW.format("clear", 1, "ZPK", "U2", "short", "active"),
    ],
)
def test_the_database_refuses(office: Any, statement: str) -> None:
    """Each of these statements changes nothing."""
    office.rows(KEPT)
    office.rows(EVENT)
    before = office.rows("SELECT * FROM stored_key") + office.rows("SELECT * FROM stored_key_event")
    with pytest.raises(psycopg2.Error):
        office.rows(statement)
    after = office.rows("SELECT * FROM stored_key") + office.rows("SELECT * FROM stored_key_event")
    assert after == before


def test_a_tombstone_never_comes_to_life(office: Any) -> None:
    """A destroyed row cannot be changed any more."""
    office.rows(KEPT)
    office.rows("UPDATE stored_key SET state = 'destroyed', held = ''")
    with pytest.raises(psycopg2.Error):
        office.rows("UPDATE stored_key SET state = 'active', held = 'U1'")


def test_every_change_of_keys_raises_the_number_that_nodes_compare(office: Any) -> None:
    """Inserts, changes of state and flips are seen by every node's next poll."""
    ((first,),) = office.rows("SELECT version FROM key_ring")
    office.rows(KEPT)
    office.rows("UPDATE stored_key SET state = 'retired'")
    ((last,),) = office.rows("SELECT version FROM key_ring")
    assert last == first + 2
