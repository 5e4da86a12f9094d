"""The bank simulator's book: every business moves what it says, once, and back."""

import json

import pytest
from msgspec.structs import replace

from channels.bank_simulator.ledger import Ledger
from channels.iso8583.load import load_dialect
from tests.bank.teller import CODE, PAN, Teller

DIALECTS = ("cup-pos", "gz-ascii", "zj-bcd", "cups-host")
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def offers(dialect, *operations):
    """Whether a bank offers all of these."""
    return set(operations) <= load_dialect(dialect).operations.keys()


def dialects_with(*operations):
    """Only banks that offer the business: others have nothing to show."""
    found = [name for name in DIALECTS if offers(name, *operations)]
    return pytest.mark.parametrize("dialect", found)


@every_dialect
def test_a_sale_is_booked_once_however_often_it_comes(dialect):
    """The same numbers with the same content: the same answer, and no more money."""
    teller = Teller(dialect)

    codes = [teller.business("sale", 100, stan="000050") for _ in range(3)]

    assert codes == ["00", "00", "00"]
    assert teller.net_fen == teller.spent_fen == 100


@every_dialect
def test_other_content_under_the_same_numbers_is_94(dialect):
    """It is another message; nothing moves."""
    teller = Teller(dialect)
    teller.business("sale", 100, stan="000050")

    assert teller.business("sale", 101, stan="000050") == "94"
    assert teller.net_fen == 100


@every_dialect
def test_94_on_repeat(dialect):
    """A bank that answers no repeat with its first answer."""
    teller = Teller(dialect)
    teller.host.habits.repeats_94 = True

    assert [teller.business("sale", 100, stan="000050") for _ in range(2)] == ["00", "94"]


@dialects_with("void")
def test_a_void_gives_all_back_and_its_reversal_lets_the_sale_stand(dialect):
    """Rows add up at every step."""
    teller = Teller(dialect)
    teller.business("sale", 500, stan="000050")

    assert teller.business("void", 500, of="000050", stan="000051") == "00"
    assert (teller.net_fen, teller.spent_fen) == (0, 0)
    assert [row["net_fen"] for row in teller.rows().values()] == [500, -500]
    assert teller.business("void", 500, of="000050", stan="000052") == "12"
    assert teller.reverse("000050") == "12"

    assert teller.reverse("000051") == "00"
    assert (teller.net_fen, teller.spent_fen) == (500, 500)
    assert teller.business("void", 500, of="000050", stan="000053") == "00"


@dialects_with("void")
def test_a_void_of_another_amount_of_nothing_or_of_another_card_is_refused(dialect):
    """64, 25, 14; the sale stands."""
    teller = Teller(dialect)
    teller.business("sale", 500, stan="000050")
    unknown = teller.about("000050") | {"original_F11": "000999", "original_F37": ""}
    other = {"pan": "6225881234560000", "pin": ""}

    assert teller.business("void", 499, of="000050") == "64"
    assert teller.business("void", 500, **unknown) == "25"
    assert teller.business("void", 500, of="000050", **other) == "14"
    assert teller.net_fen == 500


@dialects_with("refund")
def test_refunds_never_exceed_their_sale(dialect):
    """Part by part; the last fen is the last."""
    teller = Teller(dialect)
    teller.business("sale", 500, stan="000050")

    codes = [teller.business("refund", fen, of="000050") for fen in (200, 301, 300, 1)]

    assert codes == ["00", "64", "00", "64"]
    assert teller.net_fen == teller.spent_fen == 0


@dialects_with("refund")
def test_a_refund_is_not_reversed(dialect):
    """Rule 8: the bank refuses it, and the money stays with the card."""
    teller = Teller(dialect)
    teller.business("sale", 500, stan="000050")
    teller.business("refund", 200, of="000050", stan="000051")

    assert teller.reverse("000051") == "12"
    assert teller.net_fen == 300


@dialects_with("preauth", "completion", "completion_void", "preauth_void")
def test_a_pre_authorisation_sets_money_aside(dialect):
    """Completion takes up to 115 % of it and frees the rest; its void sets it aside again."""
    teller = Teller(dialect)
    assert teller.business("preauth", 1_000, stan="000050") == "00"
    assert (teller.net_fen, teller.spent_fen) == (0, 1_000)

    assert teller.business("completion", 1_151, of="000050") == "64"
    assert teller.business("completion", 900, of="000050", stan="000051") == "00"
    assert (teller.net_fen, teller.spent_fen) == (900, 900)
    assert teller.business("preauth_void", 1_000, of="000050") == "12"

    assert teller.business("completion_void", 900, of="000051", stan="000052") == "00"
    assert (teller.net_fen, teller.spent_fen) == (0, 1_000)
    assert teller.reverse("000052") == "00"
    assert (teller.net_fen, teller.spent_fen) == (900, 900)
    assert teller.reverse("000051") == "00"
    assert (teller.net_fen, teller.spent_fen) == (0, 1_000)

    assert teller.business("preauth_void", 1_000, of="000050", stan="000053") == "00"
    assert (teller.net_fen, teller.spent_fen) == (0, 0)
    assert teller.reverse("000053") == "00"
    assert teller.reverse("000050") == "00"
    assert (teller.net_fen, teller.spent_fen) == (0, 0)


@dialects_with("qr_sale", "qr_void")
def test_a_payment_code_pays_once(dialect):
    """Also after its sale went back; a code nobody was given pays never."""
    teller = Teller(dialect)

    assert teller.business("qr_sale", 100, stan="000050", qr_code=CODE) == "00"
    assert teller.business("qr_sale", 100, qr_code=CODE) == "12"
    assert teller.business("qr_sale", 100, qr_code="99") == "14"
    assert teller.business("qr_sale", 100, qr_code="281234567890123456") == "00"
    assert teller.net_fen == 200
    assert teller.business("qr_void", 100, of="000050") == "00"
    assert teller.business("qr_sale", 100, qr_code=CODE) == "12"
    assert teller.net_fen == 100


@every_dialect
def test_a_reversal_says_what_it_found(dialect):
    """25 before the sale, 64 for another amount, 00 now and again."""
    teller = Teller(dialect)
    teller.business("sale", 100, stan="000050")
    teller.said["000060"] = teller.said["000050"]

    assert teller.reverse("000050", amount_fen=101) == "64"
    assert [teller.reverse("000050") for _ in range(2)] == ["00", "00"]
    assert teller.business("sale", 100, stan="000050") == "94"
    assert teller.net_fen == 0


@every_dialect
def test_money_that_is_not_there_is_refused(dialect):
    """51, 55 and 14, and the book is empty; habits decline with any code."""
    teller = Teller(dialect)
    teller.habit("decline", code="05")

    assert teller.business("sale", 100) == "05"
    assert teller.business("sale", 1_000_001) == "51"
    assert teller.business("sale", 100, pin="000000") == "55"
    assert teller.business("sale", 100, pan="6200000000000000") == "14"
    assert teller.rows() == {}


@every_dialect
def test_balance_is_what_is_left(dialect):
    """Debits and what is set aside are taken off."""
    teller = Teller(dialect)
    teller.business("sale", 100)

    answer = teller.send("balance")

    assert answer.fields[teller.dialect.balance_field].endswith("C000000999900")


def test_the_book_outlives_the_process(tmp_path):
    """What was answered is there, with what stands of it; a used code stays used."""
    path = str(tmp_path / "bank.db")
    teller = Teller(ledger=Ledger(path))
    teller.business("qr_sale", 100, qr_code=CODE)
    teller.business("preauth", 70)
    teller.ledger._db.close()

    again = Ledger(path)

    assert again.spent_fen("rich") == 170
    assert not again.use_code(CODE)
    assert [entry.operation for entry in again.entries()] == ["qr_sale", "preauth"]
    assert CODE not in path_text(path)
    assert PAN not in path_text(path)
    again.close()


def path_text(path):
    with open(path, "rb") as file:
        return file.read().decode("latin-1")


@every_dialect
def test_ledger_says_totals_by_batch_and_day(dialect):
    """An auditor adds rows up and finds these."""
    teller = Teller(dialect)
    teller.business("sale", 500, stan="000050")
    teller.business("sale", 70)
    teller.business("sale", 5, stan="000052")
    teller.reverse("000052")

    shown = teller.host.debits()

    (batch,) = shown["batches"]
    assert (batch["debit_count"], batch["debit_fen"], batch["credit_count"]) == (2, 570, 0)
    (day,) = shown["days"]
    assert (day["date"], day["debit_fen"]) == ("20260704", 570)
    assert PAN not in json.dumps(shown)


def test_a_centre_takes_a_number_once_a_day_whatever_the_terminal():
    """Where F90 names a message without its terminal, a second terminal's same F11 is a duplicate;
    where each terminal counts by itself it is another sale."""
    codes = {}
    for dialect in ("cups-host", "cup-pos"):
        teller = Teller(dialect)
        teller.business("sale", 100)
        (mine,) = teller.ledger.entries()
        teller.ledger.add(replace(mine, terminal="10000002", stan="000050"))
        codes[dialect] = teller.business("sale", 100, stan="000050")

    assert codes == {"cups-host": "94", "cup-pos": "00"}
