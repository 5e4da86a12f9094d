"""The bank simulator settles batches: totals, upload, the next batch."""

import pytest

from channels.iso8583.load import load_dialect
from tests.bank.teller import Teller
from tests.bank.test_simulator_book import DIALECTS

with_settlement = pytest.mark.parametrize(
    "dialect", [name for name in DIALECTS if load_dialect(name).settlement is not None]
)


def settled(teller):
    (batch,) = [one for one in teller.host.debits()["batches"] if "settled" in one]
    return batch["settled"]


def busy(dialect):
    """Two sales, one voided: 570 taken, 500 given back."""
    teller = Teller(dialect)
    teller.business("sale", 500, stan="000050")
    teller.business("sale", 70, stan="000051")
    teller.business("void", 500, of="000050", stan="000052")
    return teller


@with_settlement
def test_totals_that_agree_close_the_batch(dialect):
    """No business and no reversal after it; the next sign-on names the next batch."""
    teller = busy(dialect)

    assert teller.settle(debits=(500, 70), given=(500,)) == "1"
    assert teller.settle(debits=(500, 70), given=(500,)) != "1"  # of the next batch by now
    assert teller.reverse("000051") == "12"
    assert teller.business("sale", 10, batch="000001") == "77"
    assert teller.send("sign_on").fields["60"][2:8] == "000002"
    assert teller.business("sale", 10) == "00"
    assert teller.business("refund", 70, of="000051") == "00"
    assert teller.net_fen == 10


@with_settlement
def test_totals_that_differ_wait_for_the_upload(dialect):
    """Compared again one by one; the batch stays open until the upload ends."""
    teller = busy(dialect)
    assert teller.settle(debits=(500,), given=()) != "1"
    assert not settled(teller)["closed"]
    for stan in ("000050", "000051", "000052"):
        assert teller.send("upload", **teller.about(stan)).code == "00"

    assert teller.send("upload_end", upload_count="0003", close_code="202").code == "00"

    assert settled(teller)["balanced"]
    assert settled(teller)["closed"]
    assert settled(teller)["uploads"] == 3
    assert teller.send("upload_end", batch="000001", close_code="202").code == "00"
    assert teller.keys.batch == "000002"


@with_settlement
def test_an_upload_that_lacks_one_is_seen(dialect):
    """The STAN that only one side has is named."""
    teller = busy(dialect)
    teller.settle(debits=(570,), given=())
    teller.send("upload", **teller.about("000050"))
    teller.send("upload", **teller.about("000052"))

    teller.send("upload_end", close_code="202")

    assert settled(teller)["differences"] == ("000051",)
    assert not settled(teller)["balanced"]


@with_settlement
def test_wrong_totals_on_command(dialect):
    """A bank that says they differ though they agree."""
    teller = busy(dialect)
    teller.habit("wrong_totals", on="settlement")

    assert teller.settle(debits=(500, 70), given=(500,)) != "1"
    assert teller.settle(debits=(500, 70), given=(500,)) == "1"


@with_settlement
def test_an_upload_end_of_nothing_is_25(dialect):
    """No totals came before it."""
    teller = Teller(dialect)

    assert teller.send("upload_end", close_code="207").code == "25"
