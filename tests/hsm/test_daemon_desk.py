"""What officers can have the daemon do, over their socket, in memory."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from hsm.admin import protocol as ask
from hsm.admin.protocol import Login, Reply, framed, read_reply
from hsm.audit import AuditKey, AuditLog, files
from hsm.ceremony.founding import random_lmk
from hsm.commands import Service
from hsm.daemon import desk as desk_module
from hsm.daemon.admin import AdminConnection, AdminFactory
from hsm.daemon.clients import LOCAL
from hsm.daemon.desk import Desk
from hsm.daemon.house import House, Limits
from hsm.daemon.keeper import Keeper
from hsm.officers import People
from hsm.policy import Policy
from hsm.processor import Processor
from hsm.sealing.entries import Cost
from hsm.sealing.passphrase import Officer
from hsm.sealing.testing import make_software_token
from hsm.sealing.token import provision
from hsm.slots import Slots

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
LI, WANG = Login("Li", "the passphrase of Li"), Login("Wang", "the passphrase of Wang")
BOTH = {"first": LI, "second": WANG}
ONE = "0123456789ABCDEFFEDCBA9876543210"
TWO = "A7C4B9D3E5F28A619B37C8D1E9F46273"
NC = b"0000NC"
FORM = b"0000A43000U"


class Transport(StringTransportWithDisconnection):
    """In memory; an abort is a disconnection too."""

    def abortConnection(self) -> None:
        self.loseConnection()


class Log:
    """Keeps the names of events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, event: str, **_facts: Any) -> None:
        self.events.append(event)

    error = warning


class Office:
    """A daemon without its process: slots 00 and 01, officers Li and Wang, and an audit log."""

    def __init__(self, folder: Path, production: bool = False) -> None:
        self.folder = folder
        self.clock = Clock()
        self.log = Log()
        People.found(folder / "officers.json", _officer(LI), _officer(WANG), CHEAP)
        self.slots = Slots(replaced={"01": "00"})
        self.service = Service(self.slots, Policy(test=not production), lambda n: bytes(range(n)))
        self.audit = AuditLog.open(folder / "audit", AuditKey(bytes(32)), lambda: 1, "hsm-1")
        self.house = House(
            Processor(self.service),
            Limits(connections_max=1, frame_ms=1, idle_ms=1),
            self.clock, self.log, self.audit,
        )  # fmt: skip
        keeper = Keeper(folder / "lmk", production, self.slots, ("00", "01"))
        people = People.load(folder / "officers.json")
        self.desk = Desk(
            self.service, keeper, people, self.audit, _at_once,
            name="hsm-1", unattended=tuple, minutes_max=60, backups=("safe A",), cost=CHEAP,
        )  # fmt: skip
        self.factory = AdminFactory(self.desk, (), 60_000, self.clock, self.log)

    def connect(self) -> "Tool":
        """One officers' tool."""
        return Tool(self.factory)

    def ask(self, request: Struct) -> Reply:
        """A request on a connection of its own."""
        return self.connect().ask(request)

    def host(self, frame: bytes) -> bytes:
        """What a host's command is answered, without its header."""
        return self.house.answer(frame, LOCAL)[4:]

    def recorded(self) -> list[tuple[str, list[str]]]:
        """(what, who) of the whole log."""
        from hsm.audit.chain import parse

        found = []
        for path in files.log_files(self.folder / "audit"):
            for line in files.lines(path):
                record: Any = parse(line)
                found.append((record["what"], record["who"]))
        return found


class Tool:
    """A connection to the officers' socket."""

    def __init__(self, factory: AdminFactory) -> None:
        self.connection: AdminConnection = factory.buildProtocol(None)
        self.transport = Transport()
        self.transport.protocol = self.connection
        self.connection.makeConnection(self.transport)

    def ask(self, request: Struct) -> Reply:
        """One request, answered at once."""
        self.transport.clear()
        self.connection.dataReceived(framed(request))
        return read_reply(self.transport.value()[4:])


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A test service whose every socket belongs to us."""
    monkeypatch.setattr("hsm.daemon.admin.peer_uid", lambda _transport: os.geteuid())
    return Office(tmp_path)


def _officer(login: Login) -> Officer:
    return Officer(login.name, login.passphrase)


def _at_once(work: Callable[[], Any]) -> Deferred[Any]:
    return succeed(work())


def make_lmk(office: Office, lmk_id: str = "00") -> dict[str, Any]:
    """An AES LMK of two components."""
    tool = office.connect()
    begun = tool.ask(ask.BeginLmk(**BOTH, lmk_id=lmk_id, scheme="aes-block", components=2))
    assert begun.facts == {"length": 32, "of": 2}
    tool.ask(ask.Component(custodian=LI, value=ONE + lmk_id * 16, again=ONE + lmk_id * 16))
    facts = tool.ask(ask.Component(custodian=WANG, value=TWO * 2, again=TWO * 2)).facts
    done = tool.ask(ask.Confirm(check_value=facts["whole"]))
    assert not done.error
    return done.facts


def test_a_service_starts_locked_and_says_so(office: Office) -> None:
    """NC with a zero check value, NO, and 13 for everything else (hsm row 24)."""
    assert office.host(NC).startswith(b"ND00" + b"0" * 16)
    assert office.host(b"0000NO00")[:4] == b"NP00"
    assert office.host(b"0000CA")[:4] == b"CB13"
    status = office.ask(ask.Status()).facts
    assert status["locked"]
    assert status["slots"] == {
        "00": {"loaded": False, "status": "empty"},
        "01": {"loaded": False, "status": "empty"},
    }


def test_N1_an_lmk_is_made_locked_and_unlocked(office: Office) -> None:
    """By a ceremony, sealed, loaded; lock forgets it; two officers bring it back."""
    made = make_lmk(office)
    assert office.host(NC)[4:20].decode() == made["check_value"]
    assert not office.ask(ask.Lock(officer=LI)).error
    assert office.host(NC)[4:20] == b"0" * 16
    back = office.ask(ask.Unlock(**BOTH))

    assert back.facts["loaded"] == {"00": made["check_value"]}
    assert back.facts["failed"] == {"01": "missing"}
    assert office.host(NC)[4:20].decode() == made["check_value"]
    told = [what for what, _ in office.recorded()]
    assert told[-6:] == [
        "ceremony.begun", "ceremony.component", "ceremony.component", "lmk.loaded",
        "lmk.locked", "lmk.unlocked",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (LI, LI, "same_person"),
        (LI, Login("li", LI.passphrase), "same_person"),
        (LI, Login("Wang", LI.passphrase), "wrong_login"),
        (LI, Login("Wang", "short"), "wrong_login"),
        (Login("Zhao", "whatever it may be"), WANG, "wrong_login"),
    ],
)
def test_N24_one_officer_is_not_two(office: Office, first: Login, second: Login, code: str) -> None:
    """One person twice, a wrong passphrase, a stranger: nothing opens, and it is recorded."""
    make_lmk(office)
    office.slots.clear()
    assert office.ask(ask.Unlock(first=first, second=second)).error == code
    assert office.slots.locked
    if code == "wrong_login":
        assert office.recorded()[-1][0] == "login.failed"


def test_I11_passphrases_are_not_guessed_quickly(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three wrong ones the right one has to wait too; others need not."""
    now_ms = 0
    monkeypatch.setattr(desk_module, "monotonic_ms", lambda: now_ms)
    wrong = ask.Lock(officer=Login("Li", "not the passphrase"))
    assert [office.ask(wrong).error for _ in range(4)] == ["wrong_login"] * 3 + ["wait"]
    assert office.ask(ask.Lock(officer=LI)) == Reply(error="wait", what="1")
    assert not office.ask(ask.Lock(officer=WANG)).error
    now_ms = 1000
    assert not office.ask(ask.Lock(officer=LI)).error


def test_N24_the_authorised_state_comes_and_goes(office: Office) -> None:
    """17 before, then done, 17 after RA; purpose, minutes and commands are looked at."""
    make_lmk(office)
    assert office.host(FORM)[:4] == b"A517"

    def granted(commands: tuple[str, ...], minutes: int, purpose: str) -> str:
        request = ask.Authorise(**BOTH, commands=commands, minutes=minutes, purpose=purpose)
        return office.ask(request).error

    assert granted((), 15, "x") == "no_commands"
    assert granted(("CA",), 15, "x") == "needs_no_authority"
    assert granted(("A4",), 61, "x") == "minutes"
    assert granted(("A4",), 15, ONE) == "purpose"
    assert granted(("A4", "A8"), 15, "TMK of a new bank") == ""
    assert office.host(FORM)[:4] != b"A517"
    assert set(office.ask(ask.Status()).facts["authorised"]) == {"A4", "A8"}
    office.service.cancel_authority()
    assert office.host(FORM)[:4] == b"A517"
    assert granted(("A4",), 15, "again") == ""
    assert office.ask(ask.Withdraw(officer=LI)).facts == {"ended": ["A4"]}
    assert office.host(FORM)[:4] == b"A517"


def test_N2_a_key_is_formed_only_when_authorised(office: Office) -> None:
    """By two custodians, under the LMK, with the check value a bank would print."""
    make_lmk(office)
    begin = ask.BeginKey(
        key_type="000", scheme="S", length=16, components=2, lmk_id="00", attributes="K0T2B00N00"
    )
    tool = office.connect()
    assert tool.ask(begin).error == "not_authorised"
    office.ask(ask.Authorise(**BOTH, commands=("A4",), minutes=5, purpose="TMK"))
    assert tool.ask(begin).facts == {"length": 16, "of": 2}
    assert tool.ask(begin).error == "ceremony_under_way"
    tool.ask(ask.Component(custodian=LI, value=ONE, check_value="08D7B4"))
    twice = tool.ask(ask.Component(custodian=LI, value=TWO, again=TWO))
    assert twice.error == "same_custodian"
    whole = tool.ask(ask.Component(custodian=WANG, value=TWO, again=TWO)).facts["whole"]
    formed = tool.ask(ask.Confirm(check_value=whole)).facts

    assert whole == formed["check_value"] == "7D3DD6"
    assert formed["key"].startswith("S")
    assert office.recorded()[-1] == ("key.formed", ["Li", "Wang"])
    assert tool.ask(ask.Confirm(check_value=whole)).error == "no_ceremony"


def test_what_cannot_be_kept_is_refused_before_anybody_types(office: Office) -> None:
    """Under a key-block LMK a type becomes a block of its use; what the LMK cannot keep is told to
    the officers at once, not when all components are in."""
    make_lmk(office)
    office.ask(ask.Authorise(**BOTH, commands=("A4",), minutes=5, purpose="TMK"))
    common = {"length": 16, "components": 2, "lmk_id": "00"}
    for key_type, scheme, attributes, code in (
        ("FFF", "S", "", "A6"), ("FFF", "S", "K0T3B00N00", "A7"), ("009F", "U", "", "04"),
    ):  # fmt: skip
        begin = ask.BeginKey(key_type=key_type, scheme=scheme, attributes=attributes, **common)
        refused = office.ask(begin)
        assert refused.error == "command"
        assert refused.what.startswith(code)
    tool = office.connect()
    tool.ask(ask.BeginKey(key_type="000", scheme="U", **common))
    facts: dict[str, Any] = {}
    for person, value in ((LI, ONE), (WANG, TWO)):
        facts = tool.ask(ask.Component(custodian=person, value=value, again=value)).facts
    formed = tool.ask(ask.Confirm(check_value=facts["whole"])).facts
    assert formed["key"][6:10] == "K0TB"
    assert formed["check_value"] == "7D3DD6"


def test_N3_a_wrong_check_value_ends_a_ceremony(office: Office) -> None:
    """Nothing is sealed, and the record says why."""
    tool = office.connect()
    tool.ask(ask.BeginLmk(**BOTH, lmk_id="00", scheme="aes-block", components=2))
    wrong = ask.Component(custodian=LI, value=ONE * 2, check_value="000000")
    assert tool.ask(wrong).error == "wrong_component_check_value"
    assert tool.ask(wrong).error == "no_ceremony"
    assert office.recorded()[-1][0] == "ceremony.aborted"
    assert office.slots.locked


@pytest.mark.parametrize("end", ["silence", "hang up", "abandon"])
def test_N3_a_ceremony_that_is_left_is_wiped(office: Office, end: str) -> None:
    """Nobody types, the line breaks, the officers give up: recorded, and the slot stays free."""
    tool = office.connect()
    tool.ask(ask.BeginLmk(**BOTH, lmk_id="00", scheme="aes-block", components=2))
    tool.ask(ask.Component(custodian=LI, value=ONE * 2, again=ONE * 2))
    if end == "silence":
        office.clock.advance(60)
    elif end == "hang up":
        tool.transport.loseConnection()
    else:
        tool.ask(ask.Abandon())

    assert office.recorded()[-1] == ("ceremony.aborted", ["Li"])
    make_lmk(office)


def test_a_new_officer_opens_with_either_of_the_two(office: Office) -> None:
    """And when he is taken out, his pairs are gone from the sealed file."""
    make_lmk(office)
    zhang = Login("Zhang", "the passphrase of Zhang")
    added = office.ask(ask.AddPerson(**BOTH, person=zhang, role="officer"))
    assert added.facts == {"name": "Zhang", "role": "officer", "not_sealed": {}}
    assert office.ask(ask.Unlock(first=zhang, second=WANG)).facts["loaded"]
    assert office.ask(ask.RemovePerson(first=LI, second=zhang, name="li")).error == "not_oneself"
    assert not office.ask(ask.RemovePerson(**BOTH, name="Zhang")).error
    assert office.ask(ask.Unlock(first=zhang, second=WANG)).error == "wrong_login"
    sealers = office.ask(ask.Status()).facts["slots"]["00"]["sealers"]
    assert sealers == ["officers li and wang"]


def test_a_custodian_opens_nothing(office: Office) -> None:
    """He brings components only."""
    make_lmk(office)
    zhang = Login("Zhang", "the passphrase of Zhang")
    office.ask(ask.AddPerson(**BOTH, person=zhang, role="custodian"))
    assert office.ask(ask.Unlock(first=zhang, second=WANG)).error == "no_officer"
    people = office.ask(ask.ListPeople()).facts["people"]
    assert people[-1] == {"name": "Zhang", "role": "custodian"}


def test_N21_destruction_leaves_a_record_and_a_list(office: Office) -> None:
    """The file is gone, the slot empty; the wrong check value destroys nothing."""
    made = make_lmk(office)
    file = office.folder / "lmk" / "lmk.00.sealed"
    wrong = ask.DestroyLmk(**BOTH, lmk_id="00", check_value="0" * 16)
    assert office.ask(wrong).error == "other_check_value"
    assert file.exists()
    gone = office.ask(ask.DestroyLmk(**BOTH, lmk_id="00", check_value=made["check_value"]))

    assert gone.facts["purge"] == ["safe A", "officers li and wang"]
    assert not file.exists()
    assert office.slots.locked
    assert office.recorded()[-1] == ("lmk.destroyed", ["Li", "Wang"])


def test_N25_a_test_lmk_does_not_open_in_production(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a test service under a production daemon stays shut."""
    make_lmk(office)
    live = tmp_path / "live"
    live.mkdir()
    production = Office(live, production=True)
    (live / "lmk").mkdir()
    (office.folder / "lmk" / "lmk.00.sealed").rename(live / "lmk" / "lmk.00.sealed")
    refused = production.ask(ask.Unlock(**BOTH))

    assert refused.error == "nothing_opened"
    assert "00 not_allowed_test" in refused.what
    assert production.slots.locked


def test_N23_no_audit_no_service(office: Office) -> None:
    """Every host command answers 41, officers change nothing, and all of it works again after."""
    make_lmk(office)
    office.audit.down = "ENOSPC"
    assert office.host(NC) == b"ND41"
    assert office.host(b"0000B20002hi\x19tail") == b"B341\x19tail"
    request = ask.Authorise(**BOTH, commands=("A4",), minutes=5, purpose="x")
    assert office.ask(request) == Reply(error="audit_down", what="ENOSPC")
    assert not office.desk.authority.remaining_s()
    office.audit.down = ""
    assert office.host(b"0000B20002hi") == b"B300hi"


def test_N22_host_commands_are_recorded_or_counted(office: Office) -> None:
    """A key command singly, with the client's name; others by the minute."""
    make_lmk(office)
    assert office.host(b"0000A00FFFS%00#K0T2B00N00")[:4] == b"A100"
    assert office.recorded()[-1] == ("key.generated", ["local"])
    office.host(NC)
    assert len(office.audit.counts) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b'{"ask":"unlock"}', b"\xff", b"[" * 5000])
def test_I11_garbage_is_refused_without_an_echo(office: Office, body: bytes) -> None:
    """No request: an error that quotes nothing."""
    tool = office.connect()
    tool.connection.dataReceived(len(body).to_bytes(4, "big") + body)
    assert read_reply(tool.transport.value()[4:]).error == "command"


def test_I11_the_socket_has_its_limits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four connections, frames of 64 KiB, known users, and a minute of silence."""
    tools = [office.connect() for _ in range(5)]
    assert [tool.transport.connected for tool in tools] == [True] * 4 + [False]
    tools[0].connection.dataReceived((65 * 1024).to_bytes(4, "big"))
    assert not tools[0].transport.connected
    office.clock.advance(60)
    assert not any(tool.transport.connected for tool in tools)
    monkeypatch.setattr("hsm.daemon.admin.peer_uid", lambda _transport: 65534)
    assert not office.connect().transport.connected


def test_I12_requests_do_not_show_what_they_hold() -> None:
    """Not in a trace, not in a log."""
    held = ask.Component(custodian=LI, value=ONE, again=ONE)
    for shown in (repr(held), repr(LI), repr(ask.Unlock(**BOTH))):
        assert "passphrase of" not in shown
        assert ONE not in shown


def test_a_token_holds_an_lmk_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works in its slot beside sealed files, is left at lock, and comes back at unlock."""
    monkeypatch.setattr("hsm.daemon.admin.peer_uid", lambda _transport: os.geteuid())
    monkeypatch.setenv("SOFTHSM2_CONF", "")
    address = make_software_token(tmp_path)
    held = random_lmk("02", "aes-block", test=False)
    provision(held, address)
    office = Office(tmp_path, production=True)
    office.desk.keeper.tokens["02"] = address
    assert office.desk.keeper.open_tokens() == {"02": held.check_value}
    assert office.host(b"0000A00FFFS%02#K0T2B00N00")[:4] == b"A100"
    assert not office.ask(ask.Lock(officer=LI)).error
    assert office.slots.locked
    assert office.ask(ask.Status()).facts["slots"]["02"] == {"loaded": False, "status": "token"}
    assert office.ask(ask.Unlock(**BOTH)).facts["loaded"] == {"02": held.check_value}
    office.desk.keeper.lock()
