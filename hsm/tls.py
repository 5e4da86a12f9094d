"""Mutual TLS between hosts and key services: both ends show a certificate of one own authority.

The peer's name is the common name of its certificate. Addresses are IP addresses, so no host name
is compared: who must answer is configured by name instead, and a daemon knows its clients by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509
from OpenSSL.SSL import Error
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    trustRootFromCertificates,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one end: the authority that signs both ends, our certificate and its key."""

    ca: str
    certificate: str
    key: str


def options(files: TlsFiles) -> CertificateOptions:
    """TLS 1.2 or later, the peer's certificate required and proven, for either end.

    Raises OSError when a file cannot be read, ValueError (with its name alone) when it holds
    something else.
    """
    authority = X509.from_cryptography(_loaded(files.ca, load_pem_x509_certificate))
    # Typed for pyOpenSSL's own objects, which it warns of; it takes these.
    key: Any = _loaded(files.key, lambda pem: load_pem_private_key(pem, None))
    certificate: Any = _loaded(files.certificate, load_pem_x509_certificate)
    made = CertificateOptions(
        privateKey=key,
        certificate=certificate,
        trustRoot=trustRootFromCertificates([Certificate(authority)]),
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )
    try:
        made.getContext()
    except Error:
        raise ValueError(f"{files.key}: not the key of {files.certificate}") from None
    return made


def _loaded(file: str, load: Callable[[bytes], T]) -> T:
    pem = Path(file).read_bytes()
    try:
        return load(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own texts stay here: they may quote what it could not read.
        raise ValueError(f"{file}: not the PEM file that is needed here") from None


def peer_name(transport: Any) -> str:
    """The common name of the peer's proven certificate; empty when there is none (yet)."""
    certificate = transport.getPeerCertificate()
    if certificate is None:
        return ""
    names = certificate.to_cryptography().subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""
