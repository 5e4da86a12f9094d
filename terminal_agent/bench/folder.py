"""The files of the kiosk that is measured: configuration, cards, key of the pad, certificates."""

import datetime
import ipaddress
from importlib.resources import files
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from terminal_agent import durable
from terminal_agent.certificate import AUTHORITY, CERTIFICATE, KEY
from terminal_agent.devices.memory_port import MEMORY

CARD: Final = "good"
PIN: Final = "135790"
"""What its holder types: a made-up card has a made-up PIN."""
_CARDS: Final = 'cards: [{id: good, pan: "6200000000000000005", expiry: "4012", pin: "135790"}]\n'
_PAD_KEY: Final = "0123456789ABCDEFFEDCBA9876543210"
_DAYS: Final = 397


def make(folder: Path) -> None:
    """Cards, key and certificates. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cards.yaml").write_text(_CARDS, "utf-8")
    durable.write(folder / "pad.key", _PAD_KEY.encode())
    _write_certificate(folder)


def configure(folder: Path, *, switch_port: int = 1, in_memory: bool = False) -> Path:
    """The configuration's path. ``in_memory``: the devices' lines are joined without ports. Raises
    OSError."""
    text = files("terminal_agent.bench").joinpath("kiosk.yaml").read_text("utf-8")
    text = text.replace("{folder}", folder.as_posix()).replace("{switch}", str(switch_port))
    if in_memory:
        for name in ("pad", "printer", "id", "scanner"):
            text = text.replace(f"{{line}}{name}", MEMORY)
    path = folder / "kiosk.yaml"
    path.write_text(text.replace("{line}", f"{folder.as_posix()}/"), "utf-8")
    return path


def _write_certificate(folder: Path) -> None:
    """One self-signed certificate for everybody: authority, switch and kiosk are one machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "BENCH001")])
    begins = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=_DAYS))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    durable.write(folder / AUTHORITY, pem)
    durable.write(folder / CERTIFICATE, pem)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    durable.write(folder / KEY, secret)
