"""The terminals' own certificate authority: X.509, no cipher code.

One folder: ``ca.key`` (0600), ``ca.crt``, ``server.key`` (0600), ``server.crt``; beside them the
registry and the invitations. The authority signs terminals only; losing it means enrolling anew.
"""

import datetime
import hashlib
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS = 3650
SERVER_DAYS = 825
TERMINAL_DAYS = 397
"""A terminal renews at two thirds of this."""
_BACKDATE = datetime.timedelta(minutes=5)
"""A kiosk's clock may be a little behind when it gets its certificate."""


class PkiError(ValueError):
    """The folder or the request cannot be used; says why in one sentence."""


def init(folder: Path, names: Sequence[str]) -> str:
    """Make the authority and the switch's server certificate for ``names`` (host names or IP
    addresses). Returns the authority's fingerprint. Raises PkiError when there is one already."""
    if (folder / "ca.key").exists():
        raise PkiError(f"{folder}: there is an authority already")
    for part in ("terminals", "invites"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name("yinyitong terminal CA")
    now = datetime.datetime.now(datetime.UTC)
    authority = (
        _builder(subject, subject, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signing=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = (
        _builder(_name(names[0]), subject, server_key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signing=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    write_private(folder / "server.key", _key_pem(server_key))
    (folder / "server.crt").write_bytes(server.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    write_private(folder / "ca.key", _key_pem(key))
    return fingerprint((folder / "ca.crt").read_bytes())


def fingerprint(certificate_pem: bytes) -> str:
    """SHA-256 over the DER form, lower-case hex: what an invitation pins."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def sign_terminal(folder: Path, csr_pem: bytes, terminal: str) -> tuple[bytes, str]:
    """Sign a terminal's request. The subject is ours, never the request's. Returns the
    certificate (PEM) and its serial number (hex). Raises PkiError for a bad request."""
    try:
        csr = x509.load_pem_x509_csr(csr_pem)
        sound = csr.is_signature_valid
        public_key = csr.public_key()
    except ValueError:
        raise PkiError("csr: not a certificate request") from None
    if not sound:
        raise PkiError("csr: its signature does not fit its key")
    if isinstance(public_key, rsa.RSAPublicKey):
        if public_key.key_size < 2048:
            raise PkiError("csr: an RSA key needs at least 2048 bits")
    elif not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise PkiError("csr: the key must be EC or RSA")
    authority = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        _builder(_name(terminal), authority.subject, public_key, now, TERMINAL_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signing=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(terminal)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), serial_of(certificate)


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as the registry keeps it."""
    return f"{certificate.serial_number:x}"


def common_name(certificate: x509.Certificate) -> str:
    """The terminal a certificate was made for; empty when it names none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signing,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signing,
        crl_sign=signing,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    now: datetime.datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + datetime.timedelta(days=days))
    )
