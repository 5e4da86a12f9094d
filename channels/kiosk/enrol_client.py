"""On the kiosk: make a key here, spend the one-time code, keep the certificate.

Two connections. The first fetches the authority's certificate from whoever answers and believes
it only if its SHA-256 is the one in the invitation; the second, which carries the code, trusts
that authority and nothing else.
"""

import hashlib
import http.client
import json
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from channels.kiosk.enrolment import CodeFile
from channels.kiosk.pki import write_private

TIMEOUT_S = 20
ANSWER_BYTES_MAX = 65_536


class EnrolFailed(Exception):  # noqa: N818 - told to the technician as it is
    """The kiosk has no certificate; says why."""


def enrol(url: str, code: CodeFile, folder: Path) -> Path:
    """Get a certificate for ``code.terminal`` into ``folder`` (``terminal.key``, ``terminal.crt``,
    ``ca.crt``). Returns the certificate's path. Raises EnrolFailed; an existing key is kept."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise EnrolFailed(f"{url}: must be https://host:port")
    address = (parts.hostname, parts.port or 443)
    stranger = ssl.create_default_context()
    stranger.check_hostname = False
    stranger.verify_mode = ssl.CERT_NONE  # the fingerprint below is the check
    ca_pem = _ask(address, stranger, "GET", "/ca", None)
    if _fingerprint(ca_pem) != code.ca_sha256:
        raise EnrolFailed("the server's authority is not the one in the invitation")
    folder.mkdir(parents=True, exist_ok=True)
    key = _key(folder / "terminal.key")
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, code.terminal)]))
        .sign(key, hashes.SHA256())
    )
    trusted = ssl.create_default_context(cadata=ca_pem.decode("ascii"))
    asked = {
        "terminal": code.terminal,
        "code": code.code,
        "csr": csr.public_bytes(serialization.Encoding.PEM).decode(),
    }
    answer = json.loads(_ask(address, trusted, "POST", "/enrol", json.dumps(asked)))
    certificate = str(answer["certificate"]).encode()
    if x509.load_pem_x509_certificate(certificate).public_key() != key.public_key():
        raise EnrolFailed("the certificate is not for our key")
    (folder / "ca.crt").write_bytes(ca_pem)
    (folder / "terminal.crt").write_bytes(certificate)
    return folder / "terminal.crt"


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The kiosk's own key, made once; it never leaves this machine."""
    if path.exists():
        kept = serialization.load_pem_private_key(path.read_bytes(), None)
        if isinstance(kept, ec.EllipticCurvePrivateKey):
            return kept
        raise EnrolFailed(f"{path}: not an EC key")
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(path, pem)
    return key


def _fingerprint(ca_pem: bytes) -> str:
    try:
        authority = x509.load_pem_x509_certificate(ca_pem)
    except ValueError:
        raise EnrolFailed("the server sent no certificate of an authority") from None
    return hashlib.sha256(authority.public_bytes(serialization.Encoding.DER)).hexdigest()


def _ask(
    address: tuple[str, int], context: ssl.SSLContext, method: str, path: str, body: str | None
) -> bytes:
    connection = http.client.HTTPSConnection(*address, timeout=TIMEOUT_S, context=context)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read(ANSWER_BYTES_MAX)
    except (OSError, http.client.HTTPException) as error:
        raise EnrolFailed(f"{address[0]}:{address[1]}: {error}") from None
    finally:
        connection.close()
    if response.status != 200:
        sentence = content.decode("utf-8", "replace")[:200]
        raise EnrolFailed(f"refused ({response.status}): {sentence}")
    return content
