"""Certificates before they end: a new one for a terminal that still holds a valid one.

The old certificate stays valid until the new one has been used once, then it leaves the record: a
power cut at any point leaves the terminal a certificate that is admitted. A renewal that was never
used is replaced by the next one, so a terminal has two at most from here (I11).
"""

from pathlib import Path

from cryptography import x509
from msgspec.structs import replace

from channels.kiosk import pki
from channels.kiosk.registry import Registry, RegistryError, Terminal


class Renewals:
    """Renews below one PKI folder. Both calls block for the disk: call them in a thread."""

    def __init__(self, folder: Path, registry: Registry) -> None:
        self._folder = folder
        self._registry = registry

    def renew(self, terminal: str, serial: str, csr_pem: bytes) -> bytes:
        """A new certificate (PEM) for the terminal that speaks with ``serial``. Raises PkiError
        for a bad request, RegistryError when ``serial`` is admitted no more."""
        if _named(csr_pem) != terminal:
            raise pki.PkiError("csr: must name the terminal")
        certificate, fresh = pki.sign_terminal(self._folder, csr_pem, terminal)

        def renewed(record: Terminal) -> Terminal:
            if not record.enabled or serial not in record.certificates:
                raise RegistryError(f"{terminal}: its certificate is revoked or unknown")
            unused = {new for new, old in record.renewals.items() if old == serial}
            kept = tuple(known for known in record.certificates if known not in unused)
            renewals = {new: old for new, old in record.renewals.items() if new not in unused}
            return replace(
                record, certificates=(*kept, fresh), renewals={**renewals, fresh: serial}
            )

        self._registry.change(terminal, renewed)
        return certificate

    def used(self, terminal: str, serial: str) -> None:
        """A renewed certificate was used: the one it replaced ends. Raises RegistryError."""

        def proved(record: Terminal) -> Terminal:
            renewals = dict(record.renewals)
            old = renewals.pop(serial, "")
            kept = tuple(known for known in record.certificates if known != old)
            return replace(record, certificates=kept, renewals=renewals)

        self._registry.change(terminal, proved)


def _named(csr_pem: bytes) -> str:
    """The common name in a request; empty when it names none."""
    try:
        names = x509.load_pem_x509_csr(csr_pem).subject.get_attributes_for_oid(
            x509.NameOID.COMMON_NAME
        )
    except ValueError:
        raise pki.PkiError("csr: not a certificate request") from None
    return str(names[0].value) if names else ""
