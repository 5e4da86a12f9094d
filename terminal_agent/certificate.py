"""The kiosk's key and certificate, and how they are renewed.

The folder of ``yyt terminal enrol`` holds the pair in use (``terminal.key``, ``terminal.crt``) and,
between a renewal and the first link made with it, the next one (``renewed.key``, ``renewed.crt``).
The switch admits the old pair until it has seen the new one, so at every moment, power cuts
included, a pair that is admitted lies here:

- a renewed pair is tried first, then the one in use, in turn;
- the pair whose link stood is the one in use from then on; the other is given up.

The next pair takes its place by two renames. A power cut between them leaves a key and a
certificate that do not fit; the fitting half is then still there under its other name.
"""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import ssl

from terminal_agent import durable
from terminal_agent.config import ConfigError

KEY = "terminal.key"
CERTIFICATE = "terminal.crt"
NEXT_KEY = "renewed.key"
NEXT_CERTIFICATE = "renewed.crt"
AUTHORITY = "ca.crt"


class CertificateError(Exception):
    """A certificate that is none of ours; says why."""


class Identity:
    """Who this kiosk is. Raises ConfigError, OSError when the folder holds no usable pair."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.authority = ssl.Certificate.loadPEM((folder / AUTHORITY).read_bytes())
        self._heal()
        if not self._fits(KEY, CERTIFICATE):
            raise ConfigError(f"{folder}: {KEY} and {CERTIFICATE} are no pair")
        self._tries = 0
        self._trying_next = False

    @property
    def has_next(self) -> bool:
        """Whether a renewed pair waits for its first link."""
        return self._fits(NEXT_KEY, NEXT_CERTIFICATE)

    def is_due(self, now_ms: int) -> bool:
        """Whether two thirds of the life of the certificate in use are over."""
        certificate = x509.load_pem_x509_certificate((self._folder / CERTIFICATE).read_bytes())
        begins_s = certificate.not_valid_before_utc.timestamp()
        ends_s = certificate.not_valid_after_utc.timestamp()
        return now_ms >= (begins_s + (ends_s - begins_s) * 2 / 3) * 1000

    def choose(self) -> ssl.PrivateCertificate:
        """The pair for the next attempt to connect. Raises OSError."""
        self._trying_next = self._tries % 2 == 0 and self.has_next
        self._tries += 1
        names = (NEXT_KEY, NEXT_CERTIFICATE) if self._trying_next else (KEY, CERTIFICATE)
        pem = b"".join((self._folder / name).read_bytes() for name in names)
        certificate: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(pem)
        return certificate

    def proved(self) -> None:
        """The link made with the last chosen pair stands. Raises OSError."""
        self._tries = 0
        if self._trying_next:
            self._trying_next = False
            (self._folder / NEXT_CERTIFICATE).replace(self._folder / CERTIFICATE)
            (self._folder / NEXT_KEY).replace(self._folder / KEY)
            return
        for name in (NEXT_CERTIFICATE, NEXT_KEY):
            (self._folder / name).unlink(missing_ok=True)

    def request(self, terminal: str) -> str:
        """Make the next key here and a request (PEM) for it. Raises OSError."""
        (self._folder / NEXT_CERTIFICATE).unlink(missing_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        durable.write(self._folder / NEXT_KEY, pem)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, terminal)])
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
        return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def keep(self, certificate: str) -> None:
        """Keep the certificate for the last request beside the pair in use. Raises
        CertificateError, OSError."""
        content = certificate.encode()
        try:
            made_for = x509.load_pem_x509_certificate(content).public_key()
        except ValueError:
            raise CertificateError("no certificate") from None
        if made_for != self._key(NEXT_KEY):
            raise CertificateError("not for our key")
        durable.write(self._folder / NEXT_CERTIFICATE, content)

    def _heal(self) -> None:
        """Finish what a power cut left half done."""
        if self._fits(KEY, CERTIFICATE):
            return
        if self._fits(NEXT_KEY, CERTIFICATE):
            (self._folder / NEXT_KEY).replace(self._folder / KEY)
        elif self._fits(KEY, NEXT_CERTIFICATE):
            (self._folder / NEXT_CERTIFICATE).replace(self._folder / CERTIFICATE)

    def _fits(self, key: str, certificate: str) -> bool:
        try:
            content = (self._folder / certificate).read_bytes()
            return x509.load_pem_x509_certificate(content).public_key() == self._key(key)
        except (FileNotFoundError, ValueError):
            return False

    def _key(self, name: str) -> object:
        """The public half of a key file. Raises OSError, ValueError."""
        key = serialization.load_pem_private_key((self._folder / name).read_bytes(), None)
        return key.public_key()
