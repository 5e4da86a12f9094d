"""Goal: https to the HIS verifies the hospital's own authority, and refuses any other."""

import datetime
import ipaddress
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from his_bridge.http import Answered, Failed


def self_signed() -> bytes:
    """A certificate for 127.0.0.1 that is its own authority, with its key (PEM)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "his")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(pem)


def post_over_tls(served: Path, ca_file: Path) -> str:
    """The end of one POST to a TLS server with certificate ``served``, in its own process: TLS
    uses the process's reactor."""
    words = [sys.executable, "-m", "tests.his.tls_client", str(served), str(ca_file)]
    done = subprocess.run(words, stdout=subprocess.PIPE, timeout=30, check=True)
    return done.stdout.decode().strip()


@pytest.mark.parametrize("known", [True, False])
def test_only_the_stated_authority_is_believed(tmp_path: Path, known: bool) -> None:
    """Goal: the right authority: an answer; any other: no byte of the request leaves (I9)."""
    served, ca_file = tmp_path / "server.pem", tmp_path / "ca.pem"
    served.write_bytes(self_signed())
    trusted = served.read_bytes() if known else self_signed()
    ca_file.write_bytes(trusted[trusted.index(b"-----BEGIN CERTIFICATE") :])

    end = post_over_tls(served, ca_file)

    expected = Answered(200, b"ok") if known else Failed(False, "connection_lost")
    assert end == repr(expected)
