"""A change of LMK for a whole key store: while payments flow, killed in the middle, to its end."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hsm import primitives
from hsm.testing import wrap_test_key

ROOT = Path(__file__).parents[2]
LITERAL_TMK = "B55D9E8F16B0F8A4C2F25483C4EC97B6"
PIK, MAK = "CA5D92598DCA48CE8A4C76361A9269E9", "C24A8FB57AA20123"
ROTATE = ("rotate-lmk", "--from", "00", "--to", "10")
KILLED = -9


def fill(office: Any, count: int = 6) -> None:
    """A vault key, a pad key, some ZPKs, a retired one, a terminal signed on with a bank, a POS
    signed on with us, a literal TMK."""
    office.configure(tmk=wrap_test_key("000", LITERAL_TMK))
    office.ask("generate", "vault", "--usage", "DEK")
    office.ask("generate", "pad", "--usage", "TPK", "--terminal", "K1")
    office.rows(
        "INSERT INTO stored_key (name, version, usage, key_type, scheme, lmk_id, held, check_value,"
        " state, changed_by) SELECT 'zpk-' || k.n, 1, 'ZPK', '001', 'U', '00', k.held, k.value,"
        " 'active', 't' FROM json_to_recordset(%s) k(n integer, held text, value text)",
        json.dumps([zpk(n) for n in range(1, count + 1)]),
    )
    office.ask("retire", "zpk-1")
    office.rows(
        "INSERT INTO logical_terminal (bank, merchant, terminal, key_generation, pik, mak, pik_kcv,"
        " mak_kcv, installed_at) VALUES ('icbc', 'm', 't', 1, %s, %s, '', '', 1)",
        wrap_test_key("001", PIK), wrap_test_key("003", MAK),
    )  # fmt: skip
    office.rows(  # a POS at our own door: its PIN key is of another type
        "INSERT INTO logical_terminal (bank, merchant, terminal, key_generation, pik, mak, pik_kcv,"
        " mak_kcv, installed_at, pik_type) VALUES ('pos', 'm', 't', 1, %s, %s, '', '', 1, '002')",
        wrap_test_key("002", PIK), wrap_test_key("003", MAK[::-1]),
    )  # fmt: skip


def zpk(n: int) -> dict[str, Any]:
    """A key of its own for each number."""
    clear = primitives.odd_parity(bytes.fromhex(PIK[:24]) + n.to_bytes(4, "big"))
    value = primitives.check_value(clear).hex().upper()
    return {"n": n, "held": wrap_test_key("001", clear.hex().upper()), "value": value}


def held(office: Any) -> list[str]:
    """Every text that the database would use."""
    texts = [text for (text,) in office.rows("SELECT held FROM stored_key")]
    return texts + [t for row in office.rows("SELECT pik, mak FROM logical_terminal") for t in row]


def settle(office: Any) -> None:
    """Make the time pass that a node's last commands may take."""
    office.rows("UPDATE key_ring_node SET taken_at = taken_at - interval '31 s'")


def test_all_keys_move_at_once_and_keep_their_values(office: Any) -> None:
    """Stored, retired, working and literal keys: afterwards all are under LMK 10 with the same
    check values, and --finish finds nothing that needs LMK 00."""
    fill(office)
    before = {key["name"]: key["check_value"] for key in office.ask("list")}
    assert "is under way" in office.refusal(*ROTATE, "--finish")
    assert office.ask(*ROTATE) == {"from": "00", "to": "10", "nodes_behind": []}
    assert all(text.endswith("%10") for text in held(office))
    after = office.ask("list")
    assert {key["name"]: key["check_value"] for key in after} == before
    assert {key["lmk_id"] for key in after} == {"10"}
    assert office.ask("check")["wrong"] == 0
    ((literal,),) = office.rows(
        "SELECT new_text FROM key_successor WHERE old_text = %s", wrap_test_key("000", LITERAL_TMK)
    )
    assert literal.endswith("%10")
    assert "is not finished" in office.refusal("rotate-lmk", "--from", "10", "--to", "11")
    assert office.ask(*ROTATE, "--finish") == {"finished": True, "hindrances": []}
    whats = [event["what"] for event in office.ask("show", "vault")["history"]]
    assert whats == ["add", "rotate-lmk"]


def killed_when(office: Any, sql: str) -> None:
    """``yyt key rotate-lmk``, killed with SIGKILL as soon as this question is answered yes."""
    command = [sys.executable, "-m", "switch.cli", "key", *ROTATE, "--config", str(office.config)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT) as process:
        while not office.rows(sql)[0][0]:
            assert process.poll() is None, "it ended before it was killed"
        process.kill()
    assert process.returncode == KILLED


def test_killed_in_the_middle_it_goes_on_where_it_was(office: Any) -> None:
    """kill -9 among 400 keys, and again after the flip: no key has moved before the flip, what was
    translated is not asked for again, and the third run ends it."""
    fill(office, 400)
    killed_when(office, "SELECT count(*) > 20 FROM key_successor")
    done = office.rows("SELECT old_text, new_text FROM key_successor")
    assert 20 < len(done) < 400
    assert not any("%" in text for text in held(office))
    assert "not moved yet" in office.refusal(*ROTATE, "--finish")
    office.rows(
        "INSERT INTO node VALUES ('far', 1, clock_timestamp() + interval '1 h',"
        " clock_timestamp(), 'p')"
    )  # it has to be waited for
    killed_when(office, "SELECT flipped_at IS NOT NULL FROM lmk_rotation")
    assert all(text.endswith("%10") for text in held(office))
    assert set(done) <= set(office.rows("SELECT old_text, new_text FROM key_successor"))
    office.rows("UPDATE node SET lease_until = clock_timestamp() WHERE name = 'far'")
    office.ask(*ROTATE)
    assert office.ask(*ROTATE, "--finish")["finished"]
    assert office.ask("check")["wrong"] == 0


def test_what_is_written_under_the_old_lmk_meanwhile_follows(office: Any) -> None:
    """A terminal that signs on with the old keys after the flip: --finish names it, another run of
    the rotation moves it."""
    fill(office)
    office.ask(*ROTATE)
    office.rows("UPDATE logical_terminal SET mak = %s", wrap_test_key("003", PIK))
    done = office.run(*ROTATE, "--finish", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["hindrances"]
    office.ask(*ROTATE)
    assert office.ask(*ROTATE, "--finish")["finished"]


def test_a_living_node_with_old_keys_hinders_the_end(office: Any) -> None:
    """A node that has not taken the new keys, or took them just now, may still use LMK 00."""
    fill(office)
    office.rows(
        "INSERT INTO node VALUES ('far', 1, clock_timestamp() + interval '1 h',"
        " clock_timestamp(), 'p')"
    )
    office.rows("INSERT INTO key_ring_node (node, version) VALUES ('far', 1)")
    moving = office.ask(*ROTATE, "--wait-s", "0")
    assert moving["nodes_behind"] == ["far"]
    settle(office)
    assert "far" in office.run(*ROTATE, "--finish").stdout
    office.rows(
        "UPDATE key_ring_node SET version = (SELECT version FROM key_ring),"
        " taken_at = clock_timestamp()"
    )
    assert "far" in office.run(*ROTATE, "--finish").stdout
    settle(office)
    assert office.ask(*ROTATE, "--finish")["finished"]


def test_afterwards_the_old_lmk_is_not_needed(office: Any, later_port: int) -> None:
    """LMK 00 destroyed and lmk_id 10 in the configuration: every key has its check value, and a
    node pays with the very texts of before the rotation."""
    fill(office)
    office.ask(*ROTATE)
    assert office.ask(*ROTATE, "--finish")["finished"]
    office.port = later_port
    office.configure(tmk=wrap_test_key("000", LITERAL_TMK), lmk_id="10")
    assert office.ask("check")["wrong"] == 0
    with paying(office) as node:
        assert told_by(node)["failed"] == []


def told_by(node: subprocess.Popen[str]) -> Any:
    """End a payer and read what it tells."""
    assert node.stdout
    assert node.stdin
    node.stdin.write("enough\n")
    node.stdin.flush()
    return json.loads(node.stdout.readline())


@contextmanager
def paying(office: Any) -> Iterator[subprocess.Popen[str]]:
    """A node that is paying, until it is told to end (see payer.py)."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("payer.py")), str(office.config)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ},
    )  # fmt: skip
    try:
        assert process.stdout
        assert process.stdout.readline() == "paying\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_payments_flow_while_the_lmk_changes(office: Any) -> None:
    """A node goes on translating PINs, making and checking MACs, protecting and revealing card
    numbers with the texts it had at its start: not one command fails, what was protected before is
    readable after, and then no command needs LMK 00."""
    fill(office)
    with paying(office) as node:
        assert office.ask(*ROTATE)["nodes_behind"] == []
        settle(office)
        assert office.ask(*ROTATE, "--finish")["finished"]
        told = told_by(node)
    assert told["failed"] == []
    assert min(told["rounds_before"], told["rounds_after"]) > 0
    assert told["old_pan"] == "6225880987654321"
