"""LMKs at rest: memory of their own, guarded files, and the sealed file with its head."""

import json
import os
import pickle
import stat
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.lmk_material import SCHEMES, LmkMaterial, published_test_material
from hsm.primitives.aead import NotAuthenticError, gcm_open_into, gcm_seal
from hsm.primitives.kdf import argon2id_into, hkdf_sha256_into
from hsm.sealing.credential import CredentialSealer, credential_path
from hsm.sealing.entries import Cost
from hsm.sealing.envelope import FILE_BYTES_MAX, SEALERS_MAX, load_sealed, seal
from hsm.sealing.errors import BadFileError, CannotOpenError, NotAllowedError, SealingError
from hsm.sealing.files import read_guarded, replace, write_new
from hsm.sealing.passphrase import Officer, PassphraseSealer
from hsm.sealing.secret_buffer import BYTES_MAX, SecretBuffer
from hsm.sealing.status import allowed

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
FIRST, SECOND = "correct horse 1", "battery staple 2"


def officers(
    first: str = FIRST, second: str = SECOND, names: tuple[str, str] = ("张三", "Li Si")
) -> PassphraseSealer:
    """Two officers, cheap to stretch."""
    return PassphraseSealer(Officer(names[0], first), Officer(names[1], second), CHEAP)


def lmk(scheme: str = "aes-block", lmk_id: str = "03") -> LmkMaterial:
    """A random live LMK."""
    return LmkMaterial(lmk_id, scheme, False, os.urandom(SCHEMES[scheme]))


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors in English, whatever the machine speaks."""
    monkeypatch.setenv("YYT_LANG", "en")


@pytest.fixture
def credential(tmp_path: Path) -> CredentialSealer:
    """A credential as systemd lays it down."""
    return make_credential(tmp_path / "lmk-kek")


def make_credential(path: Path) -> CredentialSealer:
    """32 random bytes, mode 0400."""
    path.write_bytes(os.urandom(32))
    path.chmod(0o400)
    return CredentialSealer(path)


def rewritten(path: Path, change: Callable[[dict[str, object]], object]) -> Path:
    """The sealed file with a change to its content, written as we write it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def told(error: BaseException) -> str:
    """All that a log could hold of an error and of what led to it."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


# -- primitives


def test_aes_gcm_known_answer() -> None:
    """The GCM specification's test case 16: key of 256 bits, associated data, 60 bytes."""
    key = bytes.fromhex("feffe9928665731c6d6a8f9467308308" * 2)
    nonce = bytes.fromhex("cafebabefacedbaddecaf888")
    associated = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    clear = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    sealed = gcm_seal(key, nonce, clear, associated)

    assert sealed.hex() == (
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        "76fc6ece0f4e1768cddf8853bb2d551b"
    )
    opened = bytearray(len(clear))
    gcm_open_into(key, nonce, sealed, associated, opened)
    assert opened == clear
    with pytest.raises(NotAuthenticError):
        gcm_open_into(key, nonce, sealed, associated + b"x", opened)
    with pytest.raises(ValueError, match="32 bytes of key"):
        gcm_seal(key[:16], nonce, clear, associated)
    with pytest.raises(ValueError, match="16 bytes shorter"):
        gcm_open_into(key, nonce, sealed, associated, bytearray(8))


def test_hkdf_known_answer() -> None:
    """RFC 5869, test case 1."""
    derived = bytearray(42)
    hkdf_sha256_into(b"\x0b" * 22, bytes(range(13)), bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), derived)

    assert derived.hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )


def test_argon2id_known_answer() -> None:
    """The reference implementation's own test: 2 passes, 64 MiB, 1 lane, no secret."""
    derived = bytearray(32)
    argon2id_into(b"password", b"somesalt", derived, memory_kib=65536, passes=2, lanes=1)

    assert derived.hex() == "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"


# -- memory


def test_secret_buffer_is_wiped_and_says_nothing() -> None:
    """After ``with`` the bytes are zero and out of reach; repr never shows them."""
    with SecretBuffer.holding(b"a secret") as buffer:
        kept = buffer.view[:]
        assert bytes(kept) == b"a secret"
        assert (len(buffer), repr(buffer)) == (8, "<secret, 8 bytes>")
        with pytest.raises(TypeError, match="not copied"):
            pickle.dumps(buffer)

    assert bytes(kept) == bytes(8)
    assert repr(buffer) == "<secret, wiped>"
    buffer.wipe()
    with pytest.raises(ValueError, match="wiped"):
        _ = buffer.view


def test_secret_buffer_is_wiped_when_filling_fails() -> None:
    """Half a secret does not stay either."""
    seen: list[memoryview] = []

    def fill(view: memoryview) -> None:
        view[:4] = b"half"
        seen.append(view[:])
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        SecretBuffer.filled(8, fill)
    assert bytes(seen[0]) == bytes(8)


def test_secret_buffer_is_locked_into_memory() -> None:
    """Where the limit allows a page, the system promised not to swap it."""
    with SecretBuffer(32) as buffer:
        assert buffer.locked


@pytest.mark.parametrize("size", [0, -1, BYTES_MAX + 1])
def test_I11_secret_buffer_has_a_limit(size: int) -> None:
    """Not nothing, and not without bound."""
    with pytest.raises(ValueError, match="1 to 65536"):
        SecretBuffer(size)


# -- files


def test_files_are_private_and_never_overwritten_by_a_new_one(tmp_path: Path) -> None:
    """0600 whatever the umask; a second LMK of the same id does not bury the first."""
    path = tmp_path / "file"
    write_new(path, b"first")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(BadFileError, match="exists already"):
        write_new(path, b"second")
    assert path.read_bytes() == b"first"
    replace(path, b"third")
    assert path.read_bytes() == b"third"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o620, 0o601, 0o610])
def test_secret_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """Who else may read or write it may replace it, or attack a passphrase at leisure."""
    path = tmp_path / "file"
    path.write_bytes(b"x")
    path.chmod(mode)

    with pytest.raises(BadFileError, match="mode: must not be open to others"):
        read_guarded(path, 10)


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "me", "rule"),
    [
        (0, 0, 0o440, 998, None),  # systemd's access list shows as the group's right to read
        (0, 0, 0o400, 998, None),
        (998, 998, 0o600, 998, None),
        (0, 998, 0o440, 998, "mode"),
        (998, 998, 0o640, 998, "mode"),
        (998, 0, 0o440, 998, "mode"),
        (997, 997, 0o600, 998, "owner"),
        (998, 998, 0o600, 0, "owner"),
    ],
)
def test_who_may_own_and_read_a_secret_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uid: int,
    gid: int,
    mode: int,
    me: int,
    rule: str | None,
) -> None:
    """Root's and our own, closed to everybody else."""
    path = tmp_path / "file"
    write_new(path, b"x")
    shown = os.stat_result((stat.S_IFREG | mode, 1, 1, 1, uid, gid, 1, 0, 0, 0))
    monkeypatch.setattr("hsm.sealing.files.os.fstat", lambda handle: shown)
    monkeypatch.setattr("hsm.sealing.files.os.geteuid", lambda: me)

    if rule is None:
        assert bytes(read_guarded(path, 10).view) == b"x"
    else:
        with pytest.raises(BadFileError) as refused:
            read_guarded(path, 10)
        assert refused.value.where == rule


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is told, and takes nothing away."""
    path = tmp_path / "file"
    write_new(path, b"first")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hsm.sealing.files.os.fsync", full)
    for write in (replace, write_new):
        with pytest.raises(BadFileError, match="cannot be written: No space left"):
            write(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_file_and_folder_are_on_the_disk_before_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An LMK that a power cut takes back is lost: the content is synced before its name is given,
    and the folder after."""
    done: list[str] = []
    real = os.fsync

    def sync(handle: int) -> None:
        folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        done.append(f"{'folder' if folder else 'file'}, named: {path.exists()}")
        real(handle)

    path = tmp_path / "file"
    monkeypatch.setattr("hsm.sealing.files.os.fsync", sync)
    write_new(path, b"first")

    assert done == ["file, named: False", "folder, named: True"]


def test_secret_file_must_be_a_plain_file(tmp_path: Path) -> None:
    """A link is not followed, a pipe does not hang, a folder is none."""
    target = tmp_path / "target"
    write_new(target, b"x")
    (tmp_path / "link").symlink_to(target)
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)

    for name, why in (
        ("link", "cannot be opened"),
        ("pipe", "plain file"),
        ("folder", "plain file"),
        ("absent", "No such file"),
    ):
        with pytest.raises(BadFileError, match=why):
            read_guarded(tmp_path / name, 10)


def test_I11_secret_file_has_a_size_limit(tmp_path: Path) -> None:
    """Nothing is read of a file that is empty or larger than it may be."""
    for content in (b"", b"x" * 11):
        path = tmp_path / f"file{len(content)}"
        write_new(path, content)
        with pytest.raises(BadFileError, match="size: 1 to 10 bytes"):
            read_guarded(path, 10)


# -- the sealed file


@pytest.mark.parametrize("scheme", SCHEMES)
def test_lmk_comes_back_as_it_was_sealed(tmp_path: Path, scheme: str) -> None:
    """Head readable without opening; the LMK equal after it; the file 0600 in a 0700 folder."""
    material = lmk(scheme)
    path = seal(material, [officers()], tmp_path / "lmks")
    sealed = load_sealed(path)

    assert path == tmp_path / "lmks" / "lmk.03.sealed"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert (sealed.lmk_id, sealed.scheme, sealed.test) == ("03", scheme, False)
    assert sealed.check_value == material.check_value
    assert sealed.sealers == ("officers li si and 张三",)
    assert sealed.open(officers()) == material
    assert (
        sealed.open(PassphraseSealer(Officer("LI SI", SECOND), Officer("张三", FIRST))) == material
    )


@settings(max_examples=25, deadline=None)
@given(
    secret=st.binary(min_size=32, max_size=32),
    lmk_id=st.integers(0, 99),
    test=st.booleans(),
    passphrases=st.lists(st.text(min_size=12, max_size=40), min_size=2, max_size=2, unique=True),
)
def test_any_lmk_and_any_passphrases_go_there_and_back(
    tmp_path_factory: pytest.TempPathFactory,
    secret: bytes,
    lmk_id: int,
    test: bool,
    passphrases: list[str],
) -> None:
    """Whatever the officers type, the LMK that opens is the LMK that was sealed."""
    material = LmkMaterial(f"{lmk_id:02d}", "aes-block", test, secret)
    try:
        opener = officers(*passphrases)
    except SealingError:  # equal once composed, or not text at all
        return
    path = seal(material, [opener], tmp_path_factory.mktemp("lmk"))

    assert load_sealed(path).open(officers(*passphrases)) == material


def test_one_flipped_bit_anywhere_is_refused(tmp_path: Path, credential: CredentialSealer) -> None:
    """Every bit of the file: head, names, salts, blanks, wrapped keys of *other* sealers too."""
    path = seal(lmk(), [credential, officers()], tmp_path)
    whole = path.read_bytes()

    for at in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises((BadFileError, CannotOpenError)):
            load_sealed(path).open(credential)
    path.write_bytes(whole)
    load_sealed(path).open(credential)


def test_sealer_taken_out_or_put_in_is_noticed(
    tmp_path: Path, credential: CredentialSealer
) -> None:
    """The LMK's cipher text answers for the list of sealers as well."""
    path = seal(lmk(), [credential, officers()], tmp_path)
    rewritten(path, lambda content: content["sealers"].pop())  # type: ignore[attr-defined]

    with pytest.raises(CannotOpenError, match="changed after it was sealed"):
        load_sealed(path).open(credential)


def test_file_of_one_lmk_serves_no_other_slot(tmp_path: Path, credential: CredentialSealer) -> None:
    """Neither under another name, nor with another id in its head."""
    path = seal(lmk(), [credential], tmp_path)
    moved = path.rename(tmp_path / "lmk.04.sealed")
    with pytest.raises(BadFileError, match=r"lmk\.lmk_id: belongs in lmk\.03\.sealed"):
        load_sealed(moved)

    rewritten(moved, lambda content: content["lmk"].update(lmk_id="04"))  # type: ignore[attr-defined]
    with pytest.raises(CannotOpenError, match="does not open it"):
        load_sealed(moved).open(credential)


def test_test_status_cannot_be_edited_to_live(tmp_path: Path, credential: CredentialSealer) -> None:
    """The status is part of what every wrapped key is bound to."""
    path = seal(published_test_material(), [credential], tmp_path)
    rewritten(path, lambda content: content["lmk"].update(status="live"))  # type: ignore[attr-defined]

    with pytest.raises(CannotOpenError):
        load_sealed(path).open(credential)


@pytest.mark.parametrize(
    ("change", "where", "rule"),
    [
        (lambda c: c["lmk"].update(version=2), "lmk.version", "Invalid enum value 2"),
        (lambda c: c["lmk"].update(lmk_id="3"), "lmk.lmk_id", "matching regex"),
        (lambda c: c["lmk"].update(scheme="des"), "lmk.scheme", "Invalid enum value 'des'"),
        (lambda c: c["lmk"].update(status="LIVE"), "lmk.status", "Invalid enum value 'LIVE'"),
        (lambda c: c["lmk"].update(check_value="00"), "lmk.check_value", "matching regex"),
        (lambda c: c["lmk"].update(more=1), "lmk", "unknown field `more`"),
        (lambda c: c.pop("nonce"), "top level", "missing required field `nonce`"),
        (lambda c: c.update(nonce="zz"), "nonce", "matching regex"),
        (lambda c: c.update(ciphertext="AB" * 40), "ciphertext", "48 bytes are needed"),
        (lambda c: c.update(ciphertext=1), "ciphertext", "Expected `str`, got `int`"),
        (lambda c: c.update(sealers=[]), "sealers", "length >= 1"),
        (lambda c: c.update(sealers=c["sealers"] * 2), "sealers", "twice"),
        (lambda c: c.update(sealers=c["sealers"] * 9), "sealers", f"length <= {SEALERS_MAX}"),
        (lambda c: c["sealers"][0].update(kind="tpm"), "sealers[0].kind", "Invalid value 'tpm'"),
        (lambda c: c["sealers"][0].update(salt="00"), "sealers[0].salt", "matching regex"),
        (lambda c: c["sealers"][0].update(name="a\nb"), "sealers[0].name", "matching regex"),
    ],
)
def test_bad_field_is_named_with_its_rule(
    tmp_path: Path,
    credential: CredentialSealer,
    change: Callable[[dict[str, object]], object],
    where: str,
    rule: str,
) -> None:
    """An operator reads which field breaks which rule."""
    path = seal(lmk(), [credential], tmp_path)

    with pytest.raises(BadFileError) as refused:
        load_sealed(rewritten(path, change))
    assert refused.value.where == where
    assert rule in refused.value.rule
    assert str(refused.value).startswith(f"lmk.03.sealed: {where}: ")


def test_file_must_be_written_as_we_write_it(tmp_path: Path, credential: CredentialSealer) -> None:
    """No second spelling: other blanks, a field twice, no JSON, too large."""
    path = seal(lmk(), [credential], tmp_path)
    whole = path.read_bytes()
    for changed, why in (
        (whole + b"\n", "not as it was written"),
        (whole.replace(b'"version": 1,', b'"version": 1,\n  "version": 1,'), "a field twice"),
        (whole[:-4], "JSON is needed"),
        (b"\xff" + whole, "JSON is needed"),
        (b" " * (FILE_BYTES_MAX + 1), "size"),
    ):
        path.write_bytes(changed)
        with pytest.raises(BadFileError, match=why):
            load_sealed(path)


@settings(max_examples=200, deadline=None)
@given(content=st.binary(min_size=1, max_size=300))
def test_no_file_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """Any bytes at all end in BadFileError."""
    path = tmp_path_factory.mktemp("any") / "lmk.00.sealed"
    write_new(path, content)

    with pytest.raises(BadFileError):
        load_sealed(path)


def test_argon2_cost_in_a_file_is_bounded(tmp_path: Path) -> None:
    """I11: a doctored file cannot make the daemon take all memory."""
    path = seal(lmk(), [officers()], tmp_path)

    def cost(content: dict[str, object]) -> None:
        content["sealers"][0]["cost"]["memory_kib"] = 64 * 1024 * 1024  # type: ignore[index]

    with pytest.raises(BadFileError, match=r"sealers\[0\]\.cost\.memory_kib: Expected `int` <="):
        load_sealed(rewritten(path, cost))


# -- several sealers


def test_added_sealer_opens_and_the_first_still_does(
    tmp_path: Path, credential: CredentialSealer
) -> None:
    """Any one sealer opens; adding needs one that opens already."""
    material = lmk()
    path = seal(material, [officers()], tmp_path)
    with pytest.raises(CannotOpenError, match="no sealer of this file; its sealers: officers"):
        load_sealed(path).open(credential)

    added = load_sealed(path).add_sealer(officers(), credential)

    assert load_sealed(path).content == added.content
    assert added.sealers == ("officers li si and 张三", "credential lmk-kek")
    assert added.open(credential) == added.open(officers()) == material
    with pytest.raises(SealingError, match="same sealer twice"):
        added.add_sealer(credential, credential)
    with pytest.raises(CannotOpenError):
        added.add_sealer(officers("wrong passphrase"), make_credential(tmp_path / "other"))


def test_resealing_shuts_an_old_sealer_out(tmp_path: Path, credential: CredentialSealer) -> None:
    """A new data key: what an officer who left kept of the old one opens nothing new."""
    material = lmk()
    path = seal(material, [officers()], tmp_path)
    successors = officers("their own secret", names=("王五", "Li Si"))
    load_sealed(path).reseal(officers(), [successors, credential])

    sealed = load_sealed(path)
    assert sealed.open(successors) == sealed.open(credential) == material
    with pytest.raises(CannotOpenError, match="no sealer of this file"):
        sealed.open(officers())


def test_sealing_needs_one_to_eight_different_sealers(
    tmp_path: Path, credential: CredentialSealer
) -> None:
    """None, nine, or one of them twice: nothing is written."""
    nine = [make_credential(tmp_path / f"credential{at}") for at in range(SEALERS_MAX + 1)]
    for sealers, why in (([], "1 to 8"), (nine, "1 to 8"), ([credential] * 2, "twice")):
        with pytest.raises(SealingError, match=why):
            seal(lmk(), sealers, tmp_path / "lmks")
    assert not (tmp_path / "lmks").exists()


def test_second_lmk_of_the_same_id_does_not_bury_the_first(
    tmp_path: Path, credential: CredentialSealer
) -> None:
    """Sealing never overwrites: an LMK that is gone takes every key with it."""
    first = lmk()
    path = seal(first, [credential], tmp_path)
    with pytest.raises(BadFileError, match="exists already"):
        seal(lmk(), [credential], tmp_path)
    assert load_sealed(path).open(credential) == first


def test_sealer_that_does_not_open_is_found_out_at_once(tmp_path: Path) -> None:
    """The LMK is opened once by every sealer before a file is written."""
    path = tmp_path / "changing"

    class Changing(CredentialSealer):
        def wrap(self, *args: object) -> object:  # type: ignore[override]
            entry = super().wrap(*args)  # type: ignore[arg-type]
            path.chmod(0o600)
            path.write_bytes(os.urandom(32))
            return entry

    make_credential(path)
    with pytest.raises(CannotOpenError):
        seal(lmk(), [Changing(path)], tmp_path / "lmks")
    assert not (tmp_path / "lmks").exists()


# -- officers


@pytest.mark.parametrize(
    ("first", "second"),
    [("wrong passphrase", SECOND), (FIRST, "wrong passphrase"), (SECOND, FIRST)],
)
def test_each_of_the_two_passphrases_is_needed(tmp_path: Path, first: str, second: str) -> None:
    """One wrong, or the two exchanged: refused, and not told which."""
    sealed = load_sealed(seal(lmk(), [officers()], tmp_path))

    with pytest.raises(CannotOpenError, match="which of the two is wrong cannot be told"):
        sealed.open(officers(first, second))


@pytest.mark.parametrize("again", ["Li Si", "LI SI", "li si", "Ｌi Si"])
def test_same_officer_twice_is_refused(again: str) -> None:
    """Dual control, however the name is spelled (norms row 2)."""
    with pytest.raises(SealingError, match="same officer twice"):
        PassphraseSealer(Officer("Li Si", FIRST), Officer(again, SECOND))


def test_two_officers_with_one_passphrase_are_refused() -> None:
    """Then each could open alone."""
    with pytest.raises(SealingError, match="both officers have one passphrase"):
        officers(FIRST, FIRST)


@pytest.mark.parametrize("passphrase", ["", "elevenchars", "x" * 257])
def test_passphrase_has_12_to_256_characters(passphrase: str) -> None:
    """Too short is guessed; too long is no passphrase. The text is not in the error."""
    with pytest.raises(SealingError, match="12 to 256 characters") as refused:
        Officer("张三", passphrase)
    assert passphrase not in str(refused.value) or passphrase == ""


def test_I12_passphrase_that_is_no_text_stays_out_of_the_error() -> None:
    """Python's own error would carry all of it along."""
    passphrase = bytes.fromhex("63616e617279") * 3 + b"\xff"
    with pytest.raises(SealingError, match="not valid text") as refused:
        Officer("张三", passphrase.decode("utf-8", "surrogateescape"))
    assert "canary" not in told(refused.value)
    assert refused.value.__context__ is None


def test_lack_of_memory_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """argon2id wants a lot; a small machine must read why it fails."""

    def starved(*args: object, **cost: object) -> None:
        raise MemoryError

    monkeypatch.setattr("hsm.sealing.passphrase.argon2id_into", starved)
    with pytest.raises(SealingError, match="64 KiB of free memory"):
        seal(lmk(), [officers()], tmp_path)


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "x" * 33, "\udcff"])
def test_officer_has_a_plain_name(name: str) -> None:
    """It stands in the file and in the audit log."""
    with pytest.raises(SealingError, match="1 to 32 characters"):
        Officer(name, FIRST)


def test_passphrase_may_be_typed_on_another_keyboard(tmp_path: Path) -> None:
    """Composed or not, the same characters are the same passphrase."""
    sealed = load_sealed(seal(lmk(), [officers("caf\u00e9 au lait 1")], tmp_path))

    sealed.open(officers("cafe\u0301 au lait 1"))


def test_passphrases_are_wiped_with_their_sealer() -> None:
    """On leaving ``with`` the copies we hold are gone."""
    first, second = Officer("张三", FIRST), Officer("Li Si", SECOND)
    with PassphraseSealer(first, second, CHEAP):
        pass
    assert repr(first.passphrase) == repr(second.passphrase) == "<secret, wiped>"


# -- credential


def test_credential_is_found_where_systemd_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$CREDENTIALS_DIRECTORY, and a plain name below it."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SealingError, match="CREDENTIALS_DIRECTORY"):
        credential_path("lmk-kek")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert credential_path("lmk-kek") == tmp_path / "lmk-kek"
    for name in ("", "../lmk-kek", ".hidden", "/etc/passwd"):
        with pytest.raises(SealingError, match="credential: 1 to 32 characters"):
            credential_path(name)


@pytest.mark.parametrize("length", [31, 33])
def test_credential_has_32_bytes(tmp_path: Path, length: int) -> None:
    """A text file with a newline, or half a key, is no key."""
    path = tmp_path / "lmk-kek"
    write_new(path, os.urandom(length))

    with pytest.raises(BadFileError, match="size"):
        seal(lmk(), [CredentialSealer(path)], tmp_path / "lmks")


# -- status


def test_test_lmk_is_refused_in_production_and_a_live_one_in_test_mode() -> None:
    """Norms row 25, both ways; a published value betrays itself whatever its status says."""
    test, live = published_test_material(), lmk()
    marked = LmkMaterial("05", "variant", False, test.secret)
    private_test = LmkMaterial("06", "aes-block", True, os.urandom(32))

    allowed(test, production=False)
    allowed(private_test, production=False)
    allowed(live, production=True)
    for material, production, why in (
        (test, True, "LMK 00 is a published test LMK: production mode refuses it"),
        (marked, True, "LMK 05 is a published test LMK"),
        (private_test, True, "LMK 06 has test status"),
        (live, False, "LMK 03 is live: test mode refuses it"),
        (marked, False, "LMK 05 is live"),
    ):
        with pytest.raises(NotAllowedError, match=why):
            allowed(material, production)


def test_published_lmk_cannot_be_sealed_as_live(
    tmp_path: Path, credential: CredentialSealer
) -> None:
    """It would be found out in production only."""
    marked = LmkMaterial("00", "variant", False, published_test_material().secret)
    with pytest.raises(SealingError, match="published"):
        seal(marked, [credential], tmp_path)


def test_errors_speak_chinese_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code, the operator's language."""
    monkeypatch.setenv("YYT_LANG", "zh")
    with pytest.raises(NotAllowedError, match="LMK 00 是公开的测试 LMK") as refused:
        allowed(published_test_material(), production=True)
    assert refused.value.code == "not_allowed_published"


# -- canary


def test_I12_no_error_and_no_repr_shows_a_secret(
    tmp_path: Path, credential: CredentialSealer
) -> None:
    """LMK, passphrases and credential, in hex, raw or reversed: in no text that could be logged."""
    material = lmk()
    kek = (tmp_path / "lmk-kek").read_bytes()
    opener = officers()
    path = seal(material, [opener, credential], tmp_path)
    sealed = load_sealed(path)
    texts = [repr(thing) for thing in (material, opener, credential, sealed, Officer("a", FIRST))]
    for wrong in (officers(first="wrong passphrase"), make_credential(tmp_path / "lmk-kek2")):
        with pytest.raises(CannotOpenError) as refused:
            sealed.open(wrong)
        texts.append(told(refused.value))
    path.write_bytes(path.read_bytes().replace(b'"live"', b'"test"'))
    for attempt in (opener, credential):
        with pytest.raises(CannotOpenError) as refused:
            load_sealed(path).open(attempt)
        texts.append(told(refused.value))

    everything = "".join(texts).upper() + path.read_text(encoding="utf-8").upper()
    for secret in (material.secret, kek):
        for form in (secret, secret[::-1]):
            assert form.hex().upper() not in everything
            assert repr(form)[2:-1].upper() not in everything
    for passphrase in (FIRST, SECOND, "wrong passphrase"):
        assert passphrase.upper() not in everything
