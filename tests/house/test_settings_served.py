"""``conf check`` refuses what could never take a payment, and what could never start."""

from pathlib import Path

import pytest
import yaml

from switch.settings.document import SettingsError, parse
from switch.settings.whole import from_document

ROOT = Path(__file__).parents[2]
CONF, DIALECTS = ROOT / "conf", ROOT / "channels" / "iso8583" / "dialects"
DOORS = (CONF / "switch-doors.example.yaml").read_text(encoding="utf-8")
KIOSKS = (CONF / "switch.example.yaml").read_text(encoding="utf-8")

QR_ROUTE = "- {hospital: h1, business: pos_sale, medium: qr_code, channel: bank-a}\n"
PREAUTH_ROUTE = "- {hospital: h1, business: pos_preauth, medium: bank_card, channel: bank-a}\n"
BILL_ROUTE = "- {hospital: h1, business: outpatient_bill, medium: bank_card, channel: bank-a}\n"
SALE_TO_BILL = (
    "business: pos_sale, medium: bank_card",
    "business: outpatient_bill, medium: bank_card",
)
OPERATIONS = "operations: [sale, void, refund, balance, qr_sale, qr_void, qr_refund]"
POS_HOSPITAL = "terminal: POS00001\n      hospital: h1"
POS_CLEARING = "hospital: h1\n      clearing: outpatient"
BANK_CLEARING = 'terminal: "01234567"\n      clearing: outpatient'
OFFER = "outpatient_bill: {title: 门诊缴费, clearing: outpatient}"

POS = "fronts[counter].settings.terminals[0]"
KIOSK = "fronts[kiosks].settings"
CHANNEL = "channels[bank-a].settings"


def told(text: str, *changes: tuple[str, str]) -> list[str]:
    """What an operator is told, without file and line; every change must find its place."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    try:
        from_document(parse(text, "switch.yaml"))
    except SettingsError as error:
        return [f"{problem.path}: {problem.text}" for problem in error.problems]
    return []


def link_door(port: int, host: str = "10.1.1.1") -> str:
    """A link for which the bank dials us, as a list item."""
    return (
        f"    - {{mode: server, host: {host}, port: {port}, accept_limit: 2, peer_limit: 2, "
        "allow: [10.9.0.0/24]}\n"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(POS_HOSPITAL, POS_HOSPITAL[:-2] + "h9")], f"{POS}.hospital: no hospital 'h9'"),
        ([(POS_CLEARING, POS_CLEARING.replace("outp", "inp"))],
         f"{POS}.clearing: no terminal of bank-a is of clearing 'inpatient'"),
        ([(QR_ROUTE, "")], f"{POS}.operations: qr_sale: no route for h1 pos_sale qr_code"),
        ([(QR_ROUTE, ""), (PREAUTH_ROUTE, ""), SALE_TO_BILL],
         f"{POS}.operations: sale: no route for h1 pos_sale bank_card"),
        ([(OPERATIONS, "operations: [preauth, preauth_void, completion, completion_void]"),
          (PREAUTH_ROUTE, "")],
         f"{POS}.operations: preauth: no route for h1 pos_preauth bank_card"),
        ([(OPERATIONS, "operations: [completion_void]"), (PREAUTH_ROUTE, "")],
         f"{POS}.operations: completion_void: no route for h1 pos_preauth bank_card"),
        ([(OPERATIONS, "operations: [qr_refund]"), (QR_ROUTE, "")],
         f"{POS}.operations: qr_refund: no route for h1 pos_sale qr_code"),
        ([(OPERATIONS, "operations: [balance]"), SALE_TO_BILL],
         f"{POS}.operations: balance: no route for h1 pos_sale bank_card"),
    ],
)  # fmt: skip
def test_a_pos_whose_sales_nobody_would_take_is_refused(
    changes: list[tuple[str, str]], expected: str
) -> None:
    """Hospital, merchant role, and a route for each of its operations: the first that is missing is
    named by the terminal's field. What takes a payment back needs the route of that payment."""
    assert told(DOORS, *changes) == [expected]


def test_a_pos_operation_that_its_bank_does_not_offer_is_refused(tmp_path: Path) -> None:
    """The door's dialect has a void, the bank's has none: every void would be refused."""
    dialect = yaml.load((DIALECTS / "cup-pos.yaml").read_text("utf-8"), yaml.BaseLoader)
    del dialect["operations"]["void"]
    (tmp_path / "plain.yaml").write_text(yaml.safe_dump(dialect | {"name": "plain"}), "utf-8")
    links = "\n    links:"

    assert told(DOORS, (f"dialect: cup-pos{links}", f"dialect: {tmp_path}/plain.yaml{links}")) == [
        f"{POS}.operations: void: not an operation of bank-a"
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ([(BANK_CLEARING, BANK_CLEARING.replace("outp", "inp"))],
         "routes[0]: bank-a has no terminal of clearing 'outpatient'"),
        ([("channel: bank-a}", "channel: bank-a, clearing: dental}")],
         "routes[0].clearing: bank-a has no terminal of clearing 'dental'"),
        ([(BANK_CLEARING, BANK_CLEARING + "\n      kiosk: K1")],
         "routes[0]: every terminal of bank-a in 'outpatient' has a kiosk of its own: none is for "
         "pin translate"),
    ],
)  # fmt: skip
def test_a_route_whose_money_no_terminal_collects_is_refused(
    changes: list[tuple[str, str]], expected: str
) -> None:
    """No logical terminal of the merchant role, or for PIN blocks under the shared key only such as
    are dedicated to kiosks."""
    assert expected in told(KIOSKS, *changes)


def test_a_scanned_payment_at_a_kiosk_goes_by_its_own_terminal() -> None:
    """Without a PIN block there is nothing to translate: dedicated terminals are enough."""
    dedicated = (BANK_CLEARING, BANK_CLEARING + "\n      kiosk: K1")
    scanned = (BILL_ROUTE, BILL_ROUTE.replace("bank_card", "qr_code"))

    assert told(KIOSKS, dedicated, scanned) == []


def test_a_pos_has_no_use_for_terminals_that_are_kiosks_own() -> None:
    """The same for a POS: no terminal of the bank is for it."""
    dedicated = (BANK_CLEARING, BANK_CLEARING + "\n      kiosk: K1")
    only_scans = (OPERATIONS, "operations: [qr_sale]")

    assert (
        f"{POS}.clearing: no terminal of bank-a is of clearing 'outpatient'"
        in told(DOORS, dedicated, only_scans)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        ("tea: {title: 茶, clearing: outpatient}", "tea: no business 'tea' (outpatient_bill, "),
        ("inpatient_deposit: {title: 预交金, clearing: inpatient}",
         "inpatient_deposit: no route for inpatient_deposit"),
        ("outpatient_bill: {title: 门诊缴费, clearing: inpateint}",
         "outpatient_bill.clearing: no terminal of bank-a is of clearing 'inpateint'"),
    ],
)  # fmt: skip
def test_a_kiosk_business_that_nobody_would_take_is_refused(offer: str, expected: str) -> None:
    """A business that is none, one without any route, a merchant role that the bank has not."""
    [only] = told(KIOSKS, (OFFER, offer))

    assert only.startswith(f"{KIOSK}.businesses.{expected}")


def test_a_refund_at_a_kiosk_needs_the_route_of_its_bill() -> None:
    """It goes the way of its original, and has no route of its own."""
    refund = f"{OFFER}\n      outpatient_refund: {{title: 退费, clearing: outpatient}}"

    assert told(KIOSKS, (OFFER, refund)) == []


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        (DOORS, [("port: 9200", "port: 9100")],
         "fronts[bank-a-kiosks].settings.listen.port: 9100 on 10.20.0.1 is taken: "
         "fronts[counter].settings.listen.port listens on 0.0.0.0"),
        (DOORS, [("port: 9464", "port: 9100")],
         "metrics.port: 9100 on 127.0.0.1 is taken: fronts[counter].settings.listen.port listens "
         "on 0.0.0.0"),
        (DOORS, [("    terminals:\n    - merchant: \"102290080621001\"\n      terminal: \"0",
                  link_door(9200, "10.20.0.1") + "    terminals:\n    - merchant: "
                  "\"102290080621001\"\n      terminal: \"0")],
         "fronts[bank-a-kiosks].settings.listen.port: 9200 on 10.20.0.1 is taken: "
         f"{CHANNEL}.links[1].port listens on 10.20.0.1"),
        (KIOSKS, [("enrol_port: 8444", "enrol_port: 8443")],
         f"{KIOSK}.enrol_port: 8443 on 0.0.0.0 is taken: {KIOSK}.port listens on 0.0.0.0"),
        (KIOSKS, [("    - {mode: client, host: 127.0.0.1, port: 9000}\n",
                   link_door(9001) + link_door(9001))],
         f"{CHANNEL}.links[1].port: 9001 on 10.1.1.1 is taken: {CHANNEL}.links[0].port listens on "
         "10.1.1.1"),
        (KIOSKS, [("    - {mode: client, host: 127.0.0.1, port: 9000}\n",
                   link_door(9464, '"::"'))],
         f"metrics.port: 9464 on 127.0.0.1 is taken: {CHANNEL}.links[0].port listens on ::"),
    ],
)  # fmt: skip
def test_two_listeners_on_one_port_are_refused(
    text: str, changes: list[tuple[str, str]], expected: str
) -> None:
    """Doors, enrolment, links that a bank dials, and metrics are one list; 0.0.0.0 and :: are every
    host. The switch could not start."""
    assert told(text, *changes) == [expected]


def test_listeners_that_do_not_meet_are_right() -> None:
    """One port on two addresses is two ports; port 0 is any free one, however often."""
    two_hosts = link_door(9001, "10.1.1.1") + link_door(9001, "10.1.1.2")
    client = "    - {mode: client, host: 127.0.0.1, port: 9000}\n"

    assert told(KIOSKS, (client, two_hosts)) == []
    assert told(KIOSKS, ("port: 8443", "port: 0"), ("port: 8444", "port: 0")) == []


def test_a_record_of_messages_below_the_current_folder_is_refused() -> None:
    """A service has no current folder of its own: ``trace.directory`` is a whole path."""
    trace = "    pin_required: true\n    trace: {directory: var/trace, files: 2, bytes: 10000}"

    assert told(KIOSKS, ("    pin_required: true", trace)) == [
        f"{CHANNEL}.trace: trace.directory: write the whole path, not 'var/trace'"
    ]
    assert told(KIOSKS, ("    pin_required: true", trace.replace("var/", "/var/"))) == []
