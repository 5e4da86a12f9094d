"""Mutual TLS between client and key service, in memory, with certificates made for each test."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from OpenSSL import SSL
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.basic import Int16StringReceiver
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.test import iosim

from hsm.address import parse_address
from hsm.client import HsmClient, HsmConfig
from hsm.client.config import TlsConfig
from hsm.client.connector import connector
from hsm.testing import local_processor
from hsm.tls import TlsFiles, options, peer_name
from switch.timeline import ReactorTimeline
from tests.hsm.certificates import Authority
from tests.hsm.client_world import CONFIG, MAC, MAK, TEXT, begin, result

ADDRESS = "tls:10.0.0.7:1500"


class Answering(Int16StringReceiver):
    """A key service's end: remembers who asked."""

    factory: Any

    def stringReceived(self, string: bytes) -> None:
        self.factory.peers.add(peer_name(self.transport))
        self.sendString(self.factory.processor.answer(string).frame)


class Line:
    """A client and a key service with TLS between them."""

    def __init__(self, server: TlsFiles, client: TlsFiles, expected: str, entropy: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.service = Factory.forProtocol(Answering)
        self.service.peers = set()
        self.service.processor = local_processor(entropy)
        self.listening = TLSMemoryBIOFactory(options(server), False, self.service, self.reactor)
        config = msgspec.structs.replace(
            CONFIG,
            addresses=(ADDRESS,),
            connections=1,
            tls=TlsConfig(
                ca=client.ca, certificate=client.certificate, key=client.key, peer_name=expected
            ),
        )
        timeline = ReactorTimeline(self.reactor, self.reactor.seconds, lambda: 1_700_000_000)
        connect = connector(self.reactor, config)
        self.client = HsmClient(
            "hsm", config, timeline, connect, random=lambda: 0.0, entropy=entropy
        )
        self.client.start()
        factory = self.reactor.tcpClients[0][2]
        ends = (factory.buildProtocol(None), self.listening.buildProtocol(None))
        client_end, server_end = ends
        self.pump = iosim.connect(
            server_end, iosim.FakeTransport(server_end, isServer=True),
            client_end, iosim.FakeTransport(client_end, isServer=False),
        )  # fmt: skip
        self.settle()

    def settle(self) -> None:
        """Until neither end has anything to say; TLS writes in the next turn of the reactor."""
        for _ in range(8):
            self.pump.flush()
            self.reactor.advance(0)

    @property
    def health(self) -> str:
        """How the service stands with the client."""
        (state,) = self.client.health().values()
        return state


def test_both_ends_prove_their_names(tmp_path: Path, entropy: Any) -> None:
    """The service answers, and knows the client by the common name of its certificate."""
    authority = Authority(tmp_path)
    line = Line(authority.issue("hsm-1"), authority.issue("switch-1"), "hsm-1", entropy)
    assert line.health == "up"
    call = begin(line.client.make_mac(MAK, TEXT))
    line.settle()

    assert result(call) == MAC
    assert line.service.peers == {"switch-1"}


def test_another_name_is_refused_before_any_command(tmp_path: Path, entropy: Any) -> None:
    """A sound certificate of somebody else: nothing is sent, and health tells the name."""
    authority = Authority(tmp_path)
    line = Line(authority.issue("printer"), authority.issue("switch-1"), "hsm-1", entropy)

    assert line.health == "it is printer, not hsm-1"
    assert line.service.peers == set()


@pytest.mark.parametrize("stranger", ["server", "client"])
def test_another_authority_is_refused(tmp_path: Path, entropy: Any, stranger: str) -> None:
    """By either end: no command is done."""
    own, other = Authority(tmp_path), Authority(tmp_path, "other-ca")
    files = {"server": own.issue("hsm-1"), "client": own.issue("switch-1")}
    issued = other.issue(f"the-{stranger}")
    files[stranger] = TlsFiles(str(own.ca), issued.certificate, issued.key)
    line = Line(files["server"], files["client"], "hsm-1", entropy)

    assert line.health in {"TLS refused", "connection lost"}
    assert line.service.peers == set()
    assert not line.client.up


def test_a_client_without_a_certificate_is_refused(tmp_path: Path) -> None:
    """The service demands one of every client."""
    context = options(Authority(tmp_path).issue("hsm-1")).getContext()

    assert context.get_verify_mode() & SSL.VERIFY_FAIL_IF_NO_PEER_CERT


@pytest.mark.parametrize("part", ["ca", "certificate", "key"])
def test_an_unfit_file_is_named_and_never_quoted(tmp_path: Path, part: str) -> None:
    """Another file's content, or nothing readable: ValueError with the path alone."""
    authority = Authority(tmp_path)
    files = authority.issue("hsm-1")
    garbage = tmp_path / "garbage.pem"
    garbage.write_bytes(b"-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n")
    parts = {"ca": files.ca, "certificate": files.certificate, "key": files.key}
    with pytest.raises(ValueError, match="garbage") as caught:
        options(TlsFiles(**parts | {part: str(garbage)}))
    assert "U0VDUkVU" not in str(caught.value)
    with pytest.raises(OSError, match="nowhere"):
        options(TlsFiles(**parts | {part: str(tmp_path / "nowhere")}))


def test_the_key_must_fit_its_certificate(tmp_path: Path) -> None:
    """Two files that belong to different ends are told apart at once."""
    authority = Authority(tmp_path)
    one, two = authority.issue("hsm-1"), authority.issue("hsm-2")
    with pytest.raises(ValueError, match="not the key of"):
        options(TlsFiles(one.ca, one.certificate, two.key))


def test_addresses_of_three_kinds() -> None:
    """Written as read; only TLS goes over a network that others share."""
    for text in ("tcp:127.0.0.1:1500", ADDRESS, "unix:/run/yyt/hsm.sock"):
        assert str(parse_address(text)) == text
    assert parse_address(ADDRESS).tls
    assert not parse_address(ADDRESS).loopback
    for wrong in ("tls:hsm.example:1500", "ssl:10.0.0.7:1500", "tls:10.0.0.7", "unix:run"):
        with pytest.raises(ValueError, match=r"write tcp|IP address"):
            parse_address(wrong)


def test_the_section_tls_is_read_from_settings() -> None:
    """As the switch's configuration gives it."""
    tls = {"ca": "/a", "certificate": "/b", "key": "/c", "peer_name": "hsm-1"}
    settings = msgspec.structs.asdict(CONFIG) | {"addresses": (ADDRESS,), "tls": tls}

    assert msgspec.convert(settings, HsmConfig).tls == TlsConfig(**tls)
