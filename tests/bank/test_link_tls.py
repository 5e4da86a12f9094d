"""TLS of bank links by configuration: real handshakes, with certificates made for each test."""

from contextlib import suppress

import pytest
from OpenSSL import SSL
from twisted.protocols.tls import TLSMemoryBIOFactory

from channels.bank_simulator.service import BankDialer, BankListener
from channels.iso8583.config import ClientTls, ServerTls
from hsm.tls import options as bank_options
from switch.model.outcome import Outcome
from switch.net.tls import TlsFiles, TlsFilesError, tls_end
from switch.observe import metrics
from tests.bank.rig import Rig, payment, sell
from tests.hsm.certificates import Authority

HOST = ("pay.bank.example",)
CLIENT = {"mode": "client", "host": "bank", "port": 9443}
SERVER = {"mode": "server", "host": "0.0.0.0", "port": 9000, "accept_limit": 2, "peer_limit": 2,
          "allow": ["127.0.0.0/8"]}  # fmt: skip


class Town:
    """A bank's authority and ours in one: who is issued what, and the link between them."""

    def __init__(self, folder):
        self.authority = Authority(folder, "bank-ca")
        self.stranger = Authority(folder, "other-ca")
        self.bank = self.authority.issue("bank", HOST)
        self.ours = self.authority.issue("switch-1")

    def strange(self):
        """What an authority that we do not know says is the bank."""
        issued = self.stranger.issue("bank", HOST)
        return type(issued)(self.ours.ca, issued.certificate, issued.key)

    def we_dial(self, bank=None, **changes):
        """A switch that dials a bank with TLS in front of it."""
        tls = {"ca": self.ours.ca, "certificate": self.ours.certificate, "key": self.ours.key,
               "peer_name": "pay.bank.example", **changes}  # fmt: skip
        rig = Rig(start=False, links=[{**CLIENT, "tls": tls}])
        listener = BankListener(rig.service)
        options = bank_options(bank or self.bank)
        rig.net.listenTCP(9443, TLSMemoryBIOFactory(options, False, listener, rig.net))
        rig.channel.start()
        rig.settle()
        return rig

    def they_dial(self, bank, **changes):
        """A switch that is dialled by a bank."""
        tls = {"ca": self.ours.ca, "certificate": self.ours.certificate, "key": self.ours.key,
               "peer_names": ["pay.bank.example"], **changes}  # fmt: skip
        rig = Rig(links=[{**SERVER, "tls": tls}])
        dialer = BankDialer(rig.service)
        dialer.clock = rig.clock
        if bank is not None:
            dialer = TLSMemoryBIOFactory(bank_options(bank), True, dialer, rig.net)
        rig.net.connectTCP("switch", 9000, dialer)
        rig.settle()
        return rig


@pytest.fixture
def town(tmp_path):
    return Town(tmp_path)


def refused(link, reason):
    """How often a connection was refused there."""
    return metrics.CONNECTIONS_REFUSED.labels(link, reason)._value.get()


def on_the_wire(rig):
    """Every byte that either end of every connection wrote."""
    return b"".join(end.written for pair in rig.net.ends for end in pair)


@pytest.mark.parametrize("dialling", ["we dial", "they dial"])
def test_both_ends_prove_themselves_and_a_sale_goes_through(town, dialling):
    """Sign-on and a sale, whoever dialled; nothing of them is on the wire in clear."""
    rig = town.we_dial() if dialling == "we dial" else town.they_dial(town.bank)

    _, reply = rig.run(sell(rig, payment(rig)))

    assert reply.outcome is Outcome.DONE
    assert b"103290083980001" not in on_the_wire(rig)


@pytest.mark.parametrize("wrong", ["another authority", "expired", "another name", "in clear"])
def test_I10_a_bank_that_does_not_prove_itself_is_told_nothing(town, wrong, capsys):
    """We dial: no sign-on leaves, whatever is wrong with the bank's certificate; it is alarmed,
    and dialled again with longer and longer waits."""
    before = refused("icbc-1", "tls") + refused("icbc-1", "peer_name")
    if wrong == "in clear":
        rig = town.we_dial()
        rig.net.listeners[9443] = BankListener(rig.service)
        for _, end in rig.net.ends:
            end.close()
        rig.settle(2, steps=20)
    else:
        bank = {
            "another authority": town.strange(),
            "expired": town.authority.issue("old", HOST, ends_in_hours=-1),
            "another name": town.authority.issue("shop", hosts=("shop.example",)),
        }[wrong]
        rig = town.we_dial(bank)
        assert rig.host.counts.get("sign_on", 0) == 0

    assert not rig.channel.ready("outpatient")
    assert rig.channel.health()["icbc.link"] != "up"
    assert refused("icbc-1", "tls") + refused("icbc-1", "peer_name") > before
    assert "tls_refused" in capsys.readouterr().out
    rig.settle(60, steps=600)
    assert 4 <= len(rig.net.dials) <= 12, "dialled again, and not in a hurry"


@pytest.mark.parametrize("wrong", ["another authority", "expired", "another name", "in clear"])
def test_I10_a_stranger_that_dials_us_gets_nothing(town, wrong, capsys):
    """They dial: no link, no sign-on for it, and the true bank still comes in afterwards."""
    bank = {
        "another authority": town.strange(),
        "expired": town.authority.issue("old", HOST, ends_in_hours=-1),
        "another name": town.authority.issue("shop", hosts=("shop.example",)),
        "in clear": None,
    }[wrong]
    before = refused("icbc-1", "tls") + refused("icbc-1", "peer_name")
    rig = town.they_dial(bank)
    if wrong == "in clear":
        _, outside = rig.net.ends[0]
        rig.net.ends[0][0].write(b"\x00\x10" + bytes(16))
        rig.settle()
        assert not outside.open

    assert not rig.channel.ready("outpatient")
    assert rig.host.counts.get("sign_on", 0) == 0
    assert "tls_refused" in capsys.readouterr().out
    assert refused("icbc-1", "tls") + refused("icbc-1", "peer_name") > before, "of the link"
    true_bank = TLSMemoryBIOFactory(
        bank_options(town.bank), True, BankListener(rig.service), rig.net
    )
    there = rig.net.listeners[9000].buildProtocol(rig.net.address)
    rig.net.join(true_bank.buildProtocol(None), there)
    rig.settle()
    assert rig.channel.ready("outpatient")


def test_a_handshake_that_does_not_end_is_cut_off(town):
    """Somebody connects and says nothing: after connect_timeout_ms the place is free again."""
    rig = town.they_dial(None)
    assert rig.net.ends[0][1].open

    rig.settle(6, steps=60)

    assert not rig.net.ends[0][1].open


def test_only_versions_1_2_and_1_3(town):
    """An older version finds nobody to speak to."""
    end = tls_end(TlsFiles(ca=town.ours.ca, certificate=town.ours.certificate, key=town.ours.key))
    old = SSL.Context(SSL.TLS_METHOD)
    old.set_max_proto_version(SSL.TLS1_1_VERSION)
    server, client = SSL.Connection(end.options.getContext()), SSL.Connection(old)
    server.set_accept_state()
    client.set_connect_state()

    with pytest.raises(SSL.Error):
        _shake(client, server)


def _shake(client, server):
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                one.do_handshake()
            with suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65_536))
    assert client.get_protocol_version_name()


def test_files_that_do_not_fit_are_named_and_never_quoted(town, tmp_path):
    """A wrong or missing file is an OSError (the switch does not start), with its path alone."""
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n")
    files = {"ca": town.ours.ca, "certificate": town.ours.certificate, "key": town.ours.key}
    for part in files:
        for path in (str(garbage), str(tmp_path / "nowhere")):
            with pytest.raises(TlsFilesError, match=r"garbage|nowhere") as caught:
                tls_end(TlsFiles(**files | {part: path}))
            assert "U0VDUkVU" not in str(caught.value)
    with pytest.raises(TlsFilesError, match="not the key of"):
        tls_end(TlsFiles(**files | {"key": town.bank.key}))


def test_a_section_tls_says_who_must_answer():
    """A certificate without its key, or nobody who must answer, is a mistake in the file."""
    with pytest.raises(ValueError, match="both or neither"):
        ClientTls(ca="/a", peer_name="bank", certificate="/c")
    with pytest.raises(ValueError, match="who must answer"):
        ClientTls(ca="/a", peer_name="")
    assert ServerTls(ca="/a", certificate="/b", key="/c", peer_names=("bank",)).peer_names


def test_our_certificate_s_end_is_a_metric(town):
    """An operator sees it coming. A refusal's series is there before the first: Prometheus sees an
    increase only of what it has seen before."""
    metrics.CONNECTIONS_REFUSED.clear()
    town.we_dial()

    assert metrics.LINK_CERTIFICATE_END_SECONDS.labels("icbc-1")._value.get() > 1_700_000_000
    (family,) = metrics.CONNECTIONS_REFUSED.collect()
    assert {one.labels["reason"]: one.value for one in family.samples} == {"tls": 0, "peer_name": 0}
