"""Changing the LMK of all keys while the switch runs: what is left to do, and the one flip.

A *place* is where a held text stands: a row of the key store, a working key of a logical terminal,
or a literal in the configuration (which only its owner can list). Work is whatever has no successor
yet, so a rotation that was killed goes on where it stopped.
"""

from collections.abc import Iterable

import psycopg2
from msgspec import Struct
from psycopg2.extensions import connection, cursor

from switch.store.key_store import KeyRefused, Version, db_transaction, record

SETTLE_S = 30
"""A node's commands of before it took the new keys have ended for certain after this time."""


class Rotation(Struct, frozen=True, kw_only=True):
    """A rotation that is not finished; ``flipped``: its successors are the keys now."""

    number: int
    from_lmk: str
    to_lmk: str
    flipped: bool


class Text(Struct, frozen=True, order=True):
    """A held text to be translated, as the key type it has."""

    held: str
    key_type: str


_PLACES = """
SELECT held AS text, key_type, 'key ' || name || ' version ' || version AS place
    FROM stored_key WHERE state <> 'destroyed'
UNION ALL SELECT pik, pik_type, 'PIK of ' || bank || ' ' || merchant || ' ' || terminal
    FROM logical_terminal WHERE pik <> ''
UNION ALL SELECT mak, '003', 'MAK of ' || bank || ' ' || merchant || ' ' || terminal
    FROM logical_terminal WHERE mak <> ''
"""

_LEFT = f"""
SELECT p.text, p.key_type, p.place FROM ({_PLACES}) p
WHERE held_lmk(p.text, %(default)s) = %(from)s AND (%(all)s OR NOT EXISTS (
    SELECT FROM key_successor s WHERE s.rotation = %(rotation)s AND s.old_text = p.text))
ORDER BY p.place
"""  # noqa: S608 - constants

_FLIP = (
    """UPDATE stored_key k SET held = s.new_text, lmk_id = %(to)s, scheme = held_scheme(s.new_text),
        changed_at = clock_timestamp(), changed_by = %(by)s
        FROM key_successor s WHERE s.rotation = %(rotation)s AND s.old_text = k.held
        RETURNING k.name, k.version, k.check_value""",
    """UPDATE logical_terminal t SET pik = s.new_text
        FROM key_successor s WHERE s.rotation = %(rotation)s AND s.old_text = t.pik""",
    """UPDATE logical_terminal t SET mak = s.new_text
        FROM key_successor s WHERE s.rotation = %(rotation)s AND s.old_text = t.mak""",
)


def open_rotation(conn: connection, from_lmk: str, to_lmk: str, by_whom: str) -> Rotation:
    """The rotation under way, or a new one. KeyRefused: another pair is under way."""
    with db_transaction(conn) as cur:
        cur.execute("SELECT pg_advisory_xact_lock(hashtextextended('yyt lmk rotation', 0))")
        found = _under_way(cur)
        if found is None:
            cur.execute(
                "INSERT INTO lmk_rotation (from_lmk, to_lmk, by_whom) VALUES (%s, %s, %s)",
                (from_lmk, to_lmk, by_whom),
            )
            found = _under_way(cur)
    assert found is not None
    if (found.from_lmk, found.to_lmk) != (from_lmk, to_lmk):
        raise KeyRefused(
            f"the rotation from LMK {found.from_lmk} to {found.to_lmk} is not finished: "
            f"yyt key rotate-lmk --from {found.from_lmk} --to {found.to_lmk} --finish"
        )
    return found


def under_way(conn: connection) -> Rotation | None:
    """The rotation that is not finished; at most one is."""
    with conn.cursor() as cur:
        return _under_way(cur)


def left(
    conn: connection, rotation: Rotation, default_lmk: str, literals: Iterable[Text]
) -> list[Text]:
    """What has no successor yet, each text once."""
    with conn.cursor() as cur:
        texts = {Text(text, key_type) for text, key_type, _ in _left(cur, rotation, default_lmk)}
        cur.execute("SELECT old_text FROM key_successor WHERE rotation = %s", (rotation.number,))
        done = {text for (text,) in cur.fetchall()}
    return sorted(texts | {literal for literal in literals if literal.held not in done})


def translated(conn: connection, rotation: Rotation, text: Text, new: str) -> None:
    """Keep a successor; nobody uses it before the flip."""
    with conn.cursor() as cur:
        cur.execute(
            "INSERT INTO key_successor (rotation, old_text, new_text, key_type)"
            " VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (rotation.number, text.held, new, text.key_type),
        )


def flip(conn: connection, rotation: Rotation, default_lmk: str, by_whom: str) -> bool:
    """All keys to the new LMK in one commit; False: something was written meanwhile that has no
    successor, or the tables were not to be had in time, and nothing was changed."""
    try:
        with db_transaction(conn) as cur:
            cur.execute("LOCK TABLE stored_key, logical_terminal IN SHARE ROW EXCLUSIVE MODE")
            if _left(cur, rotation, default_lmk):
                return False
            values = {"rotation": rotation.number, "to": rotation.to_lmk, "by": by_whom}
            for number, update in enumerate(_FLIP):
                cur.execute(update, values)
                for row in cur.fetchall() if number == 0 else ():
                    detail = f"LMK {rotation.from_lmk} to {rotation.to_lmk}"
                    record(cur, by_whom, "rotate-lmk", Version(*row), detail)
            cur.execute(
                "UPDATE lmk_rotation SET flipped_at = coalesce(flipped_at, clock_timestamp()),"
                " rounds = rounds + 1 WHERE id = %s",
                (rotation.number,),
            )
    except psycopg2.errors.LockNotAvailable:
        return False
    return True


def nodes_behind(conn: connection, settle_s: int) -> list[str]:
    """Living nodes that may still use the old LMK: they have not taken the newest keys, or not for
    ``settle_s`` seconds."""
    with conn.cursor() as cur:
        cur.execute(
            "SELECT n.name FROM node n CROSS JOIN key_ring r"
            " LEFT JOIN key_ring_node k ON k.node = n.name"
            " WHERE n.lease_until > clock_timestamp() AND (k.version IS NULL"
            " OR k.version < r.version OR k.taken_at > clock_timestamp() - %s * interval '1 s')"
            " ORDER BY n.name",
            (settle_s,),
        )
        return [name for (name,) in cur.fetchall()]


def finish(conn: connection, rotation: Rotation, default_lmk: str, by_whom: str) -> list[str]:
    """Close the rotation when no place in the database is under the old LMK and no node may use
    it; else what hinders it. KeyRefused: the keys were not moved yet."""
    if not rotation.flipped:
        raise KeyRefused("the keys were not moved yet: run it without --finish first")
    with db_transaction(conn) as cur:
        cur.execute("LOCK TABLE stored_key, logical_terminal IN SHARE ROW EXCLUSIVE MODE")
        found = [place for _, _, place in _left(cur, rotation, default_lmk, every=True)]
        found += [
            f"node {name}: has not used the new keys alone for {SETTLE_S} s yet"
            for name in nodes_behind(conn, SETTLE_S)
        ]
        if not found:
            cur.execute(
                "UPDATE lmk_rotation SET finished_at = clock_timestamp() WHERE id = %s",
                (rotation.number,),
            )
            detail = f"nothing is under LMK {rotation.from_lmk} any more"
            record(cur, by_whom, "rotate-lmk finished", Version("", 0, ""), detail)
    return found


def _under_way(cur: cursor) -> Rotation | None:
    cur.execute(
        "SELECT id, from_lmk, to_lmk, flipped_at IS NOT NULL"
        " FROM lmk_rotation WHERE finished_at IS NULL"
    )
    row = cur.fetchone()
    if row is None:
        return None
    return Rotation(**dict(zip(Rotation.__struct_fields__, row, strict=True)))


def _left(
    cur: cursor, rotation: Rotation, default_lmk: str, *, every: bool = False
) -> list[tuple[str, str, str]]:
    cur.execute(
        _LEFT,
        {
            "default": default_lmk,
            "from": rotation.from_lmk,
            "rotation": rotation.number,
            "all": every,
        },
    )
    return cur.fetchall()
