"""The kiosk's certificate: renewed in time, never lost to a power cut."""

import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from channels.kiosk import pki
from channels.kiosk.registry import Registry, RegistryError
from terminal_agent import protocol
from terminal_agent.certificate import CertificateError, Identity
from terminal_agent.config import ConfigError
from terminal_agent.link import Lost
from terminal_agent.renewal import IDLE_S, LOOK_S, RETRY_S, Renewal
from tests.kiosk.rig import Kiosk, Switch, enrol_terminal, until

DAY = datetime.timedelta(days=1)
PAIR = ("terminal.key", "terminal.crt", "renewed.key", "renewed.crt")


def sign(authority: Path, public_key: Any, age_days: int, terminal: str) -> x509.Certificate:
    """A certificate of 397 days that is so old already."""
    ca = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
    ca_key: Any = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
    begins = datetime.datetime.now(datetime.UTC) - age_days * DAY
    usage = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, terminal)]))
        .issuer_name(ca.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + 397 * DAY)
        .add_extension(usage, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def age(authority: Path, terminal: str, folder: Path, age_days: int) -> str:
    """Give an enrolled terminal a certificate of that age instead; its serial."""
    key: Any = serialization.load_pem_private_key((folder / "terminal.key").read_bytes(), None)
    aged = sign(authority, key.public_key(), age_days, terminal)
    (folder / "terminal.crt").write_bytes(aged.public_bytes(serialization.Encoding.PEM))
    serial = pki.serial_of(aged)
    Registry(authority).change(terminal, lambda record: replace(record, certificates=(serial,)))
    return serial


@pytest.fixture
def enrolled(tmp_path: Path) -> tuple[Path, Path]:
    """An authority and the folder of its terminal K1."""
    pki.init(tmp_path / "pki", ["localhost"])
    enrol_terminal(tmp_path / "pki", "K1", tmp_path / "k")
    return tmp_path / "pki", tmp_path / "k"


def renewed(authority: Path, identity: Identity) -> None:
    """Request and certificate, without a network."""
    csr = x509.load_pem_x509_csr(identity.request("K1").encode())
    made = sign(authority, csr.public_key(), 0, "K1")
    identity.keep(made.public_bytes(serialization.Encoding.PEM).decode())


def test_a_kiosk_renews_by_itself_and_connects_anew(
    tmp_path: Path, authority: Path, switch: Switch
) -> None:
    """The real way: an agent whose certificate has less than a third left asks over its link, dials
    again with the new pair, and the switch forgets the old one."""
    kiosk = Kiosk(tmp_path, authority, switch.ports["terminals"], "KIOSK400")
    enrol_terminal(authority, "KIOSK400", kiosk.pki)
    old = age(authority, "KIOSK400", kiosk.pki, 300)
    old_key = (kiosk.pki / "terminal.key").read_bytes()
    registry = Registry(authority)
    kiosk.start()
    try:
        assert kiosk.process is not None
        kiosk.process.wait_for(lambda line: line["event"] == "certificate_renewed")
        until(lambda: old not in registry.get("KIOSK400").certificates)
        until(lambda: not (kiosk.pki / "renewed.crt").exists())
        (new,) = registry.get("KIOSK400").certificates
        certificate = x509.load_pem_x509_certificate((kiosk.pki / "terminal.crt").read_bytes())
        assert pki.serial_of(certificate) == new
        assert (kiosk.pki / "terminal.key").read_bytes() != old_key
        assert (kiosk.pki / "terminal.key").stat().st_mode & 0o777 == 0o600
        with pytest.raises(RegistryError):
            registry.admits("KIOSK400", old)
        assert kiosk.pay(**kiosk.wish("B1"))[1]["state"] == "approved"
    finally:
        if kiosk.process is not None:
            kiosk.process.end()


# ---- the folder ----------------------------------------------------------------------------------


def test_the_next_pair_is_tried_first_and_takes_over_when_it_stood(
    enrolled: tuple[Path, Path],
) -> None:
    """In turn with the old one until one of them has a link."""
    authority, folder = enrolled
    identity = Identity(folder)
    old = identity.choose().serialNumber()
    identity.proved()
    renewed(authority, identity)

    tried = [identity.choose().serialNumber() for _ in range(4)]
    assert tried[0] == tried[2] != old
    assert tried[1] == tried[3] == old
    assert identity.choose().serialNumber() == tried[0]
    identity.proved()
    assert Identity(folder).choose().serialNumber() == tried[0]
    assert not identity.has_next


def test_a_next_pair_that_is_not_admitted_is_given_up(enrolled: tuple[Path, Path]) -> None:
    """The old one stood: nothing waits any more, a later renewal begins anew."""
    authority, folder = enrolled
    identity = Identity(folder)
    renewed(authority, identity)
    identity.choose()
    identity.choose()
    identity.proved()

    assert sorted(path.name for path in folder.iterdir()) == ["ca.crt", *sorted(PAIR[:2])]


@pytest.mark.parametrize("first", ["terminal.key", "terminal.crt"])
def test_a_power_cut_between_the_two_renames_is_healed(
    enrolled: tuple[Path, Path], first: str
) -> None:
    """Whichever of them reached the disk alone."""
    authority, folder = enrolled
    identity = Identity(folder)
    renewed(authority, identity)
    new = identity.choose().serialNumber()
    (folder / first.replace("terminal", "renewed")).replace(folder / first)

    assert Identity(folder).choose().serialNumber() == new


def test_a_power_cut_before_the_answer_leaves_the_old_pair(enrolled: tuple[Path, Path]) -> None:
    """A key without a certificate is no pair; strangers' certificates are not kept."""
    authority, folder = enrolled
    identity = Identity(folder)
    old = identity.choose().serialNumber()
    identity.request("K1")
    stranger = sign(authority, ec.generate_private_key(ec.SECP256R1()).public_key(), 0, "K1")

    for bad in ("", "-----BEGIN", stranger.public_bytes(serialization.Encoding.PEM).decode()):
        with pytest.raises(CertificateError):
            identity.keep(bad)

    assert Identity(folder).choose().serialNumber() == old
    (folder / "terminal.crt").write_bytes(stranger.public_bytes(serialization.Encoding.PEM))
    with pytest.raises(ConfigError, match="no pair"):
        Identity(folder)


def test_two_thirds_of_a_life(enrolled: tuple[Path, Path]) -> None:
    """Due after 264.67 of 397 days."""
    authority, folder = enrolled
    age(authority, "K1", folder, 0)
    begins_ms = datetime.datetime.now(datetime.UTC).timestamp() * 1000
    identity = Identity(folder)

    assert not identity.is_due(int(begins_ms + 264.6 * DAY / datetime.timedelta(milliseconds=1)))
    assert identity.is_due(int(begins_ms + 264.7 * DAY / datetime.timedelta(milliseconds=1)))


# ---- when ----------------------------------------------------------------------------------------


class FakeLink:
    """Counts requests; ``up`` and the answers are the test's."""

    def __init__(self) -> None:
        self.up = True
        self.asked: list[str] = []
        self.redialled = 0
        self.answer: Deferred[protocol.Envelope] = Deferred()

    async def request(self, name: str, body: Any, **_named: Any) -> protocol.Envelope:
        assert name == protocol.CERTIFICATE_RENEW
        self.asked.append(body.csr)
        self.answer = Deferred()
        return await self.answer

    def redial(self) -> None:
        self.redialled += 1

    def grant(self, authority: Path) -> None:
        """Sign the last request."""
        csr = x509.load_pem_x509_csr(self.asked[-1].encode())
        pem = sign(authority, csr.public_key(), 0, "K1").public_bytes(serialization.Encoding.PEM)
        text = protocol.encode(
            protocol.Outgoing(
                v=2,
                id="1",
                type="res",
                name=protocol.CERTIFICATE_RENEW,
                ts=0,
                terminal="K1",
                body=protocol.Renewed(certificate=pem.decode()),
            )
        )
        self.answer.callback(protocol.decode_told(text))


class Bench:
    """A renewal on virtual time."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.link, self.idle = Clock(), FakeLink(), True
        self.clock.advance(datetime.datetime.now(datetime.UTC).timestamp())
        self.identity = Identity(folder)
        self.renewal = Renewal(
            self.clock,
            self.identity,
            "K1",
            now_ms=lambda: int(self.clock.seconds() * 1000),
            is_idle=lambda: self.idle,
        )
        link: Any = self.link
        self.renewal.link = link

    def days(self, days: float) -> None:
        """Let days pass."""
        self.clock.pump([LOOK_S / 4] * int(days * 4))


def test_renewal_waits_for_its_time_the_link_and_an_idle_kiosk(
    enrolled: tuple[Path, Path],
) -> None:
    """Looked at daily; asked once; the link is renewed when nobody stands at the kiosk."""
    authority, folder = enrolled
    age(authority, "K1", folder, 262)
    bench = Bench(folder)
    bench.renewal.start()
    assert bench.link.asked == []
    bench.link.up = False
    bench.days(5)
    assert bench.link.asked == []
    bench.link.up = True
    bench.renewal.link_came_up()
    assert len(bench.link.asked) == 1
    bench.renewal.link_came_up()
    assert len(bench.link.asked) == 1

    bench.idle = False
    bench.link.grant(authority)
    assert bench.identity.has_next
    bench.clock.advance(IDLE_S)
    assert bench.link.redialled == 0
    bench.idle = True
    bench.clock.advance(IDLE_S)
    assert bench.link.redialled == 1
    bench.identity.choose()
    bench.identity.proved()
    bench.days(100)
    assert len(bench.link.asked) == 1
    bench.renewal.stop()
    assert bench.clock.getDelayedCalls() == []


def test_a_failed_renewal_is_tried_again_when_the_switch_allows(
    enrolled: tuple[Path, Path],
) -> None:
    """The old pair goes on meanwhile."""
    authority, folder = enrolled
    age(authority, "K1", folder, 300)
    bench = Bench(folder)
    bench.renewal.start()
    bench.link.answer.errback(Lost(sent=True))
    bench.clock.advance(RETRY_S - 1)
    assert len(bench.link.asked) == 1
    bench.clock.advance(1)
    assert len(bench.link.asked) == 2
    assert bench.link.asked[0] != bench.link.asked[1]
    bench.link.answer.errback(ValueError("a defect"))
    bench.clock.advance(RETRY_S)
    assert len(bench.link.asked) == 3
    assert not bench.identity.has_next
    bench.renewal.stop()
