"""One-time codes and certificates: used once, for a while, a few tries, and pinned."""

import json
import ssl
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from channels.kiosk import pki
from channels.kiosk.enrol_client import EnrolFailed, enrol
from channels.kiosk.enrolment import CodeFile, EnrolmentError, Enrolments
from channels.kiosk.registry import Registry, RegistryError, Terminal
from switch.cli import main
from tests.kiosk.rig import Switch

K7 = Terminal(terminal="KIOSK007", hospital="H1")


def csr(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None) -> bytes:
    """A request that names somebody else: the subject is ours to decide."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ADMIN")])
    made = key or ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return request.sign(made, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh authority."""
    pki.init(tmp_path / "pki", ["localhost", "127.0.0.1"])
    return tmp_path / "pki"


def test_a_code_gets_one_certificate(folder: Path) -> None:
    """The certificate names the invited terminal, whatever the request says; the code is spent."""
    enrolments = Enrolments(folder)
    code = enrolments.invite(K7, 60)

    certificate = x509.load_pem_x509_certificate(enrolments.redeem("KIOSK007", code.code, csr()))

    assert pki.common_name(certificate) == "KIOSK007"
    assert Registry(folder).admits("KIOSK007", pki.serial_of(certificate)).hospital == "H1"
    with pytest.raises(EnrolmentError):
        enrolments.redeem("KIOSK007", code.code, csr())


def test_the_code_is_kept_as_a_hash(folder: Path) -> None:
    """Nothing below the folder holds the code itself; keys are for the owner alone."""
    code = Enrolments(folder).invite(K7, 60)

    kept = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in kept if code.code in path.read_text()]
    assert {oct(path.stat().st_mode & 0o777) for path in folder.glob("*.key")} == {"0o600"}


def test_an_old_code_is_refused(folder: Path) -> None:
    """After its time."""
    now_s = 1000.0
    enrolments = Enrolments(folder, lambda: now_s)
    code = enrolments.invite(K7, 60)

    now_s = 1061.0
    with pytest.raises(EnrolmentError):
        enrolments.redeem("KIOSK007", code.code, csr())


def test_wrong_codes_spoil_the_invitation(folder: Path) -> None:
    """Five wrong tries, and the right one is refused too; the sentence is always the same."""
    enrolments = Enrolments(folder)
    code = enrolments.invite(K7, 60)
    said = set()

    for wrong in ("A" * 20, "", code.code[:-1], code.code.lower(), "码"):
        with pytest.raises(EnrolmentError) as refused:
            enrolments.redeem("KIOSK007", wrong, csr())
        said.add(str(refused.value))
    for terminal in ("KIOSK007", "KIOSK008", "../../etc"):
        with pytest.raises(EnrolmentError) as refused:
            enrolments.redeem(terminal, code.code, csr())
        said.add(str(refused.value))

    assert len(said) == 1


@pytest.mark.parametrize("bad", [b"", b"-----BEGIN", b"x" * 10_000])
def test_a_bad_request_keeps_the_code(folder: Path, bad: bytes) -> None:
    """A broken request is no reason to lose the code."""
    enrolments = Enrolments(folder)
    code = enrolments.invite(K7, 60)

    with pytest.raises(pki.PkiError):
        enrolments.redeem("KIOSK007", code.code, bad)

    assert enrolments.redeem("KIOSK007", code.code, csr())


def test_a_weak_key_is_refused(folder: Path) -> None:
    """RSA below 2048 bits."""
    enrolments = Enrolments(folder)
    code = enrolments.invite(K7, 60)
    weak = rsa.generate_private_key(65537, 1024)

    with pytest.raises(pki.PkiError, match="2048"):
        enrolments.redeem("KIOSK007", code.code, csr(weak))


def test_enrolment_over_the_network(switch: Switch, authority: Path, tmp_path: Path) -> None:
    """The commands an operator types: invite, enrol, list, revoke; the code works once."""
    code_file = tmp_path / "code.json"
    url = f"https://127.0.0.1:{switch.ports['enrol']}"
    pki_dir = ["--dir", str(authority)]
    kiosk = ["--dir", str(tmp_path / "k")]
    enrolling = ["terminal", "enrol", "--url", url, "--code-file", str(code_file), *kiosk]

    assert (
        main(
            [
                *("terminal", "invite", "KIOSK005", "--hospital", "H1", *pki_dir),
                *("--code-file", str(code_file)),
            ]
        )
        == 0
    )
    assert main(enrolling) == 0
    assert main(enrolling) == 2
    assert main(["terminal", "list", *pki_dir]) == 0
    assert main(["terminal", "revoke", "KIOSK005", *pki_dir]) == 0

    certificate = x509.load_pem_x509_certificate((tmp_path / "k" / "terminal.crt").read_bytes())
    assert pki.common_name(certificate) == "KIOSK005"
    with pytest.raises(RegistryError):
        Registry(authority).admits("KIOSK005", pki.serial_of(certificate))


def test_another_authority_is_not_believed(switch: Switch, authority: Path, tmp_path: Path) -> None:
    """The fingerprint in the invitation is the check: no code is sent to a stranger."""
    code = Enrolments(authority).invite(K7, 60)
    wrong = msgspec.structs.replace(code, ca_sha256="0" * 64)

    with pytest.raises(EnrolFailed, match="not the one in the invitation"):
        enrol(f"https://127.0.0.1:{switch.ports['enrol']}", wrong, tmp_path / "k")
    with pytest.raises(EnrolFailed, match="https"):
        enrol("http://127.0.0.1:1", wrong, tmp_path / "k")
    with pytest.raises(EnrolFailed):
        enrol("https://127.0.0.1:1", wrong, tmp_path / "k")


def test_I11_wrong_codes_are_rate_limited(authority: Path, tmp_path: Path) -> None:
    """The endpoint takes so many tries a minute over all terminals, then answers 429 at once;
    large bodies end the connection."""
    running = Switch(authority, "enrol_tries_per_minute=2")
    try:
        url = f"https://127.0.0.1:{running.ports['enrol']}"
        code = CodeFile(
            terminal="KIOSK007",
            code="A" * 20,
            ca_sha256=pki.fingerprint((authority / "ca.crt").read_bytes()),
            expires_at=0,
        )
        said = []
        for _ in range(3):
            with pytest.raises(EnrolFailed) as refused:
                enrol(url, code, tmp_path / "k")
            said.append(str(refused.value)[:13])
        assert said == ["refused (403)", "refused (403)", "refused (429)"]

        from channels.kiosk import enrol_client

        context = ssl.create_default_context(cafile=str(authority / "ca.crt"))
        address = ("127.0.0.1", running.ports["enrol"])
        with pytest.raises(EnrolFailed):
            enrol_client._ask(address, context, "POST", "/enrol", "x" * 200_000)
    finally:
        running.process.end()


def test_an_authority_is_made_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second init refuses; unknown terminals and bad ids are said in words."""
    assert main(["terminal", "ca", "init", "--dir", str(folder)]) == 2
    assert main(["terminal", "revoke", "NOBODY", "--dir", str(folder)]) == 2
    assert main(["terminal", "invite", "BAD-ID", "--hospital", "H", "--dir", str(folder)]) == 2
    assert main(["terminal", "invite", "K1", "--hospital", "H1", "--dir", str(folder)]) == 0
    assert main(["terminal", "list", "--json", "--dir", str(folder)]) == 0

    out, err = capsys.readouterr()
    assert "there is an authority already" in err
    (listed,) = json.loads(out.splitlines()[-1])
    assert (listed["terminal"], listed["hospital"]) == ("K1", "H1")
