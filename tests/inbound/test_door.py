"""The door itself: who may speak, how much, and what it makes of bytes that mean nothing."""

import random

import pytest
from twisted.protocols.tls import TLSMemoryBIOFactory

from hsm.tls import options
from switch.observe import metrics
from tests.bank.rig import PAN, PIN
from tests.hsm.certificates import Authority
from tests.inbound.pos_bytes import HEADER, TPDU, pack
from tests.inbound.rig import APPROVED, DOOR, HANG, POS_DOOR, TERMINAL, Town


def _refused(reason):
    return metrics.TERMINALS_REFUSED.labels(reason)._value.get()


def test_I10_a_wrong_mac_changes_nothing():
    """A0 without a MAC; nothing is journaled, nothing goes to the bank, and the next, right one is
    served."""
    town = Town()
    pos = town.signed_on()
    town.bank.script.append(APPROVED)
    card = pos.card(PAN, PIN)
    fields = {3: "000000", 4: f"{100:012d}", 11: "000007", 25: "00", 49: "156",
              60: f"22{pos.batch}00050", **card}  # fmt: skip

    pos.send("0200", fields, wrong=True)
    pos.send("0400", fields | {39: "98", 61: f"{pos.batch}0000070704"}, wrong=True)
    town.settle()
    assert [(f[39], 64 in f) for _, f, _ in pos.answers] == [("A0", False)] * 2
    assert town.database.payments() == []

    pos.send("0200", fields)
    town.settle()
    assert pos.code == "00"


def test_I10_guessing_macs_is_bounded():
    """Above wrong_macs_per_minute the HSM is not asked any more until the minute is over; another
    terminal is not held up by it."""
    second = {**POS_DOOR["terminals"][0], "terminal": "POS00002"}
    town = Town({**POS_DOOR, "terminals": [POS_DOOR["terminals"][0], second]})
    pos, other = town.signed_on(), town.signed_on(terminal="POS00002")
    card = pos.card(PAN, PIN)
    fields = {3: "000000", 4: f"{100:012d}", 11: "000007", 25: "00", 49: "156",
              60: f"22{pos.batch}00050", **card}  # fmt: skip
    for _ in range(3):
        pos.send("0200", fields, wrong=True)
        town.settle()
    asked = town.key_service.calls.count("check_mac")

    for _ in range(20):
        pos.send("0200", fields)
        town.settle()
    assert pos.code == "A0"
    assert town.key_service.calls.count("check_mac") == asked
    other.sale(other.card(PAN, PIN), 100)
    town.settle()
    assert other.code == "00"
    town.pass_s(61)
    pos.send("0200", fields)
    town.settle()

    assert pos.code == "00"


def test_before_sign_on_a_sale_is_told_its_mac_is_wrong():
    """There are no keys: A0, which sends a POS to sign on."""
    town = Town()
    pos = town.connect()
    pos.sale({2: PAN, 22: "022", 53: "0600000000000000"}, 100)
    town.settle()

    assert pos.code == "A0"


def test_an_unknown_terminal_is_refused_before_the_hsm_is_asked():
    """97; F41 and F42 both count."""
    town = Town()
    for who in ({"terminal": "POS99999"}, {"merchant": "999999999999999"}):
        pos = town.connect(**who)
        pos.sign_on()
        town.settle()
        assert pos.code == "97"

    assert town.key_service.calls == []


@pytest.mark.parametrize("missing", [11, 49, 60])
def test_a_request_that_is_not_whole_gets_the_format_code(missing):
    """30 with what can be echoed; the connection lives on."""
    town = Town()
    pos = town.signed_on()
    fields = {3: "000000", 4: f"{100:012d}", 11: "000007", 22: "022", 25: "00", 49: "156",
              60: f"22{pos.batch}00050", 2: PAN}  # fmt: skip
    del fields[missing]
    pos.send("0200", fields)
    town.settle()

    assert pos.code == "30"
    assert pos.last[41] == TERMINAL
    assert not pos.line.lost


@pytest.mark.parametrize(
    "change",
    [{4: "000000000000"}, {55: "9F36"}, {61: "00"}, {60: "2"}],
    ids=["no amount", "broken chip data", "short original", "no batch"],
)
def test_content_that_means_nothing_gets_a_refusal(change):
    """Well formed, MACed, and still nothing that a payment can be made of."""
    town = Town()
    pos = town.signed_on()
    kind = {3: "200000", 60: f"23{pos.batch}00050"} if 61 in change else {}
    fields = {3: "000000", 4: f"{100:012d}", 11: "000007", 25: "00", 49: "156",
              60: f"22{pos.batch}00050", **pos.card(PAN, PIN), **kind, **change}  # fmt: skip
    pos.send("0200", fields)
    town.settle()

    assert pos.code in {"30", "25", "40"}
    assert town.payments() == []


def test_bytes_that_are_no_message_are_answered_and_hurt_nobody():
    """Headers and type can be read: 30. Not even these: nothing. The link goes on either way."""
    town = Town()
    pos = town.signed_on()
    body = pack("0200", {3: "000000", 11: "000007"})
    pos.raw(TPDU + HEADER + body[:-1])
    pos.raw(TPDU + HEADER + bytes.fromhex("0999") + bytes(8))
    pos.raw(b"\x01")
    pos.raw(b"")
    pos.raw(TPDU + HEADER + pack("0210", {39: "00", 11: "000007", 41: TERMINAL, 3: "000000"}))
    town.settle()
    assert [(mti, fields[39]) for mti, fields, _ in pos.answers] == [("0210", "30")]

    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()

    assert pos.code == "00"


def test_I11_random_bytes_never_break_the_door():
    """Fuzz: mutated frames by the hundred; every one is answered or dropped, and a good sale on the
    same connection is still served."""
    town = Town()
    pos = town.signed_on()
    chance = random.Random(7)
    good = TPDU + HEADER + pack("0200", {3: "000000", 4: f"{100:012d}", 11: "000007", 22: "022",
                                         25: "00", 41: TERMINAL, 42: pos.merchant, 49: "156",
                                         60: "2200000100050", 2: PAN})  # fmt: skip
    for _ in range(400):
        frame = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            frame[chance.randrange(len(frame))] = chance.randrange(256)
        pos.raw(bytes(frame[: chance.randint(1, len(frame))]))
        town.settle()
    pos.answers.clear()
    town.pass_s(60)

    pos.sale(pos.card(PAN, PIN), 100, stan="000099")
    town.settle()

    assert pos.code == "00"


def test_I11_one_request_too_many_of_a_peer_is_refused_politely():
    """The quota of an address is in use by requests that wait: 91 at once for what moves no money,
    and free again after."""
    town = Town()
    pos = town.signed_on()
    town.bank.script += [HANG] * 3
    for n in range(3):
        pos.sale(pos.card(PAN, PIN), 100, stan=f"00001{n}")
    town.settle()
    before = _refused("peer_in_flight")

    pos.sign_on()
    town.settle()
    assert (pos.code, _refused("peer_in_flight")) == ("91", before + 1)
    for sent in town.bank.sent:
        sent.reply.callback(APPROVED)
    town.settle()
    pos.sale(pos.card(PAN, PIN), 100, stan="000021")
    town.settle()

    assert [fields[39] for _, fields, _ in pos.answers] == ["91", "00", "00", "00", "00"]


def test_I11_connections_are_bounded_and_the_door_stays_open():
    """peer_limit 3: the fourth is closed; when one goes, the next may come."""
    town = Town()
    terminals = [town.connect() for _ in range(4)]
    assert [one.line.lost for one in terminals] == [False, False, False, True]

    terminals[0].line.transport.loseConnection()
    town.settle()

    assert not town.connect().line.lost


def test_only_listed_addresses_come_in():
    """Closed before a byte is read."""
    town = Town({**POS_DOOR, "listen": {**DOOR["listen"], "allow": ["10.8.0.0/24"]}})
    assert town.connect().line.lost

    town.net.caller = "10.8.0.9"
    assert not town.connect().line.lost


def test_idle_and_dripping_connections_are_closed():
    """Nothing for idle_timeout_ms, or half a frame for frame_timeout_ms."""
    town = Town()
    idle, drip = town.connect(), town.connect()
    drip.line.transport.write(b"\x00\x20\x60")
    town.pass_s(6)
    assert (idle.line.lost, drip.line.lost) == (False, True)

    town.pass_s(600)

    assert idle.line.lost


def test_an_answer_that_comes_too_late_is_not_sent(capsys):
    """The POS has begun to reverse: an approval now would contradict it."""
    town = Town({**POS_DOOR, "terminal_timeout_ms": 20_000})
    pos = town.signed_on()
    town.bank.script.append(HANG)
    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()
    town.pass_s(21)

    town.bank.sent[0].reply.callback(APPROVED)
    town.settle()

    assert pos.answers == []
    assert "answer_too_late" in capsys.readouterr().out


def test_without_the_hsm_nothing_is_served_and_it_is_said():
    """91 for a sign-on, silence for a sale: it may be the repeat of one that is done (I7). Both
    work again when it is back."""
    town = Town()
    pos = town.signed_on()
    town.key_service.down = {"check_mac", "issue_key"}
    pos.sale(pos.card(PAN, PIN), 100, stan="000007")
    pos.sign_on()
    town.settle()
    assert [(mti, fields[39]) for mti, fields, _ in pos.answers] == [("0810", "91")]
    assert town.payments() == []

    town.key_service.down = set()
    pos.sale(pos.card(PAN, PIN), 100, stan="000007")
    town.settle()

    assert pos.code == "00"


def test_keys_given_by_another_node_are_found():
    """Two nodes, one journal: the POS signed on at one and pays at the other."""
    town = Town()
    pos = town.signed_on()
    twin_settings = {**POS_DOOR, "listen": {**DOOR["listen"], "port": 7002}}
    twin = Town(twin_settings, town=town)
    town.net.listeners[7001] = town.net.listeners[7002]
    other = twin.connect()
    other.mak, other.tpk = pos.mak, pos.tpk
    other.sale(other.card(PAN, PIN), 100, stan="000007")
    twin.settle()
    assert other.code == "00"
    pos.stan = 7
    pos.sign_on()
    town.settle()
    pos.take_keys()

    other.mak, other.tpk = pos.mak, pos.tpk
    other.sale(other.card(PAN, PIN), 100, stan="000008")
    twin.settle()

    assert other.code == "00"


def test_terminals_over_tls(tmp_path):
    """A gateway of the hospital's with a certificate of ours: the same POS, nothing in clear."""
    authority = Authority(tmp_path)
    ours, theirs = authority.issue("switch-1"), authority.issue("gateway")
    tls = {"ca": ours.ca, "certificate": ours.certificate, "key": ours.key,
           "peer_names": ["gateway"]}  # fmt: skip
    town = Town({**POS_DOOR, "listen": {**DOOR["listen"], "tls": tls}})
    pos = town.connect(wrap=lambda factory: TLSMemoryBIOFactory(
        options(theirs), True, factory, town.net
    ))  # fmt: skip
    pos.sign_on()
    town.settle()
    pos.take_keys()
    pos.sale(pos.card(PAN, PIN), 100)
    town.settle()

    assert pos.code == "00"
    wire = b"".join(end.written for pair in town.net.ends for end in pair)
    assert TERMINAL.encode() not in wire


def test_health_and_address():
    """For the operator's page."""
    town = Town()
    assert town.front.health() == {"pos": "up"}
    assert town.front.addresses() == {"pos": 7001}
    assert town.front.finisher is None
