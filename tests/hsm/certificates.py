"""An authority for tests of mutual TLS: it signs whoever asks, by common name."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hsm.tls import TlsFiles


class Authority:
    """Certificates in one folder; the files of each end are named after it."""

    def __init__(self, folder: Path, name: str = "hsm-ca") -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = folder / f"{name}.crt"
        self.ca.write_bytes(self._signed(name, self._key.public_key()))

    def issue(self, name: str, hosts: tuple[str, ...] = (), ends_in_hours: int = 24) -> TlsFiles:
        """A key and a certificate for this common name, and for host names; one that ends in the
        past has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        stem = f"{self._name}-{name}"
        certificate, private = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        certificate.write_bytes(self._signed(name, key.public_key(), hosts, ends_in_hours))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return TlsFiles(str(self.ca), str(certificate), str(private))

    def _signed(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        hosts: tuple[str, ...] | None = None,
        ends_in_hours: int = 24,
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_common(name))
            .issuer_name(_common(self._name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=48))
            .not_valid_after(now + datetime.timedelta(hours=ends_in_hours))
            .add_extension(x509.BasicConstraints(ca=hosts is None, path_length=None), critical=True)
        )
        if hosts:
            named = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            certificate = certificate.add_extension(named, critical=False)
        signed = certificate.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def _common(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
