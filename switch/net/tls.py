"""TLS of links: versions 1.2 and 1.3, certificates from files, and who the other end is.

Either end proves itself by a certificate of a stated authority, no other is trusted. There is no
fallback: whoever cannot do this is not spoken to.
"""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID
from msgspec import Struct
from OpenSSL.crypto import X509
from OpenSSL.SSL import Connection, Error
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    TLSVersion,
    trustRootFromCertificates,
)
from zope.interface import implementer

T = TypeVar("T")


class TlsFiles(Struct, frozen=True, kw_only=True):
    """PEM files of one end. Without ``certificate`` and ``key`` it only asks who the other is."""

    ca: str
    certificate: str = ""
    key: str = ""


class TlsFilesError(OSError):
    """A file cannot be used; names it, never quotes it."""


class TlsEnd(Struct, frozen=True):
    """One end made ready. ``ends_at``: when our certificate ends, seconds since 1970; 0: none."""

    options: CertificateOptions
    ends_at: int


@implementer(IOpenSSLClientConnectionCreator)
class Asking:
    """A client's connections, that say in the first message whom they want (SNI): several banks
    may stand behind one address."""

    def __init__(self, options: CertificateOptions, peer_name: str) -> None:
        self._context = options.getContext()
        self._wanted = b"" if _is_address(peer_name) else peer_name.encode("idna")

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Connection:
        """Called by Twisted for each connection."""
        connection = Connection(self._context, None)
        if self._wanted:
            connection.set_tlsext_host_name(self._wanted)
        return connection


def tls_end(files: TlsFiles) -> TlsEnd:
    """The peer's certificate required and proven, for either end. Raises TlsFilesError."""
    authorities = _loaded(files.ca, x509.load_pem_x509_certificates)
    roots = [Certificate(X509.from_cryptography(one)) for one in authorities]
    ours: dict[str, Any] = {}
    ends_at = 0
    if files.certificate:
        # Typed for pyOpenSSL's own objects, which it warns of; it takes these.
        ours["privateKey"] = _loaded(files.key, lambda pem: load_pem_private_key(pem, None))
        chain = _loaded(files.certificate, x509.load_pem_x509_certificates)
        ours["certificate"], ours["extraCertChain"] = chain[0], chain[1:]
        ends_at = int(chain[0].not_valid_after_utc.timestamp())
    made = CertificateOptions(
        trustRoot=trustRootFromCertificates(roots), raiseMinimumTo=TLSVersion.TLSv1_2, **ours
    )
    try:
        made.getContext()
    except (Error, ValueError):
        raise TlsFilesError(f"{files.key}: not the key of {files.certificate}") from None
    return TlsEnd(made, ends_at)


def peer_names(transport: Any) -> frozenset[str]:
    """Host names and addresses that the peer's proven certificate is for, in lower case; its
    common name where it states none (many authorities of banks do not). Empty without one.
    """
    certificate = transport.getPeerCertificate()
    if certificate is None:
        return frozenset()
    read = certificate.to_cryptography()
    names: set[str] = set()
    try:
        stated = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names.update(stated.get_values_for_type(x509.DNSName))
        names.update(str(address) for address in stated.get_values_for_type(x509.IPAddress))
    except x509.ExtensionNotFound:
        common = read.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        names.update(str(one.value) for one in common)
    return frozenset(name.lower() for name in names)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _loaded(file: str, load: Callable[[bytes], T]) -> T:
    try:
        return load(Path(file).read_bytes())
    except OSError as error:
        raise TlsFilesError(f"{file}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The library's own texts stay here: they may quote what it could not read.
        raise TlsFilesError(f"{file}: not the PEM file that is needed here") from None
