"""A real PKCS#11 token (softhsm2): wrapping the data key, and holding the LMK itself."""

import os
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass
from pkcs11.exceptions import AttributeSensitive, PKCS11Error

from hsm import keyblock, keys, lmk, primitives
from hsm.block_header import BlockHeader
from hsm.errors import CommandError
from hsm.keys import Cryptogram
from hsm.lmk import NewKey
from hsm.lmk_material import SCHEMES, LmkMaterial, published_test_material
from hsm.sealing.credential import CredentialSealer
from hsm.sealing.entries import Cost
from hsm.sealing.envelope import load_sealed, seal
from hsm.sealing.errors import CannotOpenError, SealingError, TokenError
from hsm.sealing.passphrase import Officer, PassphraseSealer
from hsm.sealing.pkcs11 import TokenSealer, Wrap, make_token_key
from hsm.sealing.sealer import Sealer
from hsm.sealing.status import allowed
from hsm.sealing.testing import SOFTWARE_TOKEN_PIN, make_software_token
from hsm.sealing.token import (
    TokenBlockLmk,
    TokenVariantLmk,
    open_token_lmk,
    provision,
    remove_token_lmk,
)
from hsm.sealing.token_keys import CIPHER_LABEL, working_keys
from hsm.sealing.token_lmk import lmk_in_token
from hsm.sealing.token_session import TokenAddress, TokenSession
from hsm.sealing.wrapping import MASKED_BLOCKS, PIN_LABEL, wrapping_label
from hsm.uses import any_use

# The library serves one configuration per process: one worker runs all of these.
pytestmark = pytest.mark.xdist_group("pkcs11")

WRAPS: tuple[Wrap, ...] = ("aes-gcm", "aes-key-wrap")


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors in English, whatever the machine speaks."""
    monkeypatch.setenv("YYT_LANG", "en")


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenAddress]:
    """A fresh token with one key for each way to wrap."""
    address = make_software_token(tmp_path_factory.mktemp("token"))
    for wrap in WRAPS:
        make_token_key(address, wrap, wrap)
    # Held open as a daemon would: each use below shares its login.
    with TokenSession(address):
        yield address


def material(scheme: str, lmk_id: str) -> LmkMaterial:
    """A random live LMK."""
    return LmkMaterial(lmk_id, scheme, False, os.urandom(SCHEMES[scheme]))


@pytest.fixture(scope="module")
def variant(token: TokenAddress) -> Iterator[tuple[LmkMaterial, TokenVariantLmk]]:
    """A variant LMK in the clear, and the same at work in the token."""
    clear = material("variant", "10")
    provision(clear, token)
    with open_token_lmk("10", token) as held:
        assert isinstance(held, TokenVariantLmk)
        yield clear, held


@pytest.fixture(scope="module")
def block(token: TokenAddress) -> Iterator[tuple[LmkMaterial, TokenBlockLmk]]:
    """An AES key-block LMK in the clear, and the same at work in the token."""
    clear = material("aes-block", "12")
    provision(clear, token)
    with open_token_lmk("12", token) as held:
        assert isinstance(held, TokenBlockLmk)
        yield clear, held


def changed_last_bit(path: Path, field: str) -> None:
    """Flip a bit in the last hex digit of a field's first occurrence, keeping the form."""
    text = path.read_text(encoding="utf-8")
    end = text.index('"', text.index(f'"{field}": "') + len(field) + 5)
    digit = f"{int(text[end - 1], 16) ^ 1:X}"
    path.write_text(text[: end - 1] + digit + text[end:], encoding="utf-8")


# -- level A: the same suite for every kind of sealer


@pytest.fixture(params=["passphrase", "credential", *WRAPS])
def sealer(request: pytest.FixtureRequest, token: TokenAddress, tmp_path: Path) -> Sealer:
    """One of each kind."""
    if request.param == "passphrase":
        first, second = Officer("a", "correct horse 1"), Officer("b", "battery staple 2")
        return PassphraseSealer(first, second, Cost(64, 1, 1))
    if request.param == "credential":
        path = tmp_path / "lmk-kek"
        path.write_bytes(os.urandom(32))
        path.chmod(0o400)
        return CredentialSealer(path)
    return TokenSealer(token, request.param, request.param)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_sealer_gives_the_lmk_back(sealer: Sealer, tmp_path: Path, scheme: str) -> None:
    """Sealed, read, opened: equal, for every scheme."""
    clear = material(scheme, "07")
    sealed = load_sealed(seal(clear, [sealer], tmp_path / "lmks"))

    assert sealed.open(sealer) == clear


@pytest.mark.parametrize("field", ["wrapped", "ciphertext", "check_value"])
def test_every_sealer_refuses_a_flipped_bit(sealer: Sealer, tmp_path: Path, field: str) -> None:
    """In the wrapped data key, in the LMK, in the head."""
    path = seal(material("aes-block", "07"), [sealer], tmp_path / "lmks")
    changed_last_bit(path, field)

    with pytest.raises(CannotOpenError):
        load_sealed(path).open(sealer)


def test_every_sealer_can_be_added(sealer: Sealer, token: TokenAddress, tmp_path: Path) -> None:
    """And opens the LMK beside the first."""
    clear = material("variant", "07")
    make_token_key(token, label := os.urandom(8).hex())
    first = TokenSealer(token, label)
    path = seal(clear, [first], tmp_path / "lmks")
    load_sealed(path).add_sealer(first, sealer)

    assert load_sealed(path).open(sealer) == load_sealed(path).open(first) == clear


# -- level A: the token


@pytest.mark.parametrize("wrap", WRAPS)
def test_token_key_never_leaves_the_token(token: TokenAddress, wrap: Wrap) -> None:
    """The token refuses to read VALUE; the key is good for one way to wrap and nothing else."""
    with TokenSession(token) as session:
        key = session.raw.get_key(label=wrap)
        with pytest.raises(AttributeSensitive):
            _ = key[Attribute.VALUE]
        assert key[Attribute.NEVER_EXTRACTABLE]
        assert key[Attribute.DECRYPT] == (wrap == "aes-gcm")
        assert key[Attribute.UNWRAP] == (wrap == "aes-key-wrap")
    with pytest.raises(TokenError, match="there is a key"):
        make_token_key(token, wrap, wrap)


def test_token_key_that_could_be_read_is_refused(token: TokenAddress, tmp_path: Path) -> None:
    """A key made by other means must be as tight as ours."""
    with TokenSession(token, writable=True) as session:
        session.raw.generate_key(
            KeyType.AES,
            256,
            label="loose",
            store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
            template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
        )
    with pytest.raises(TokenError, match="sensitive and not extractable"):
        seal(material("variant", "07"), [TokenSealer(token, "loose")], tmp_path / "lmks")


def test_absent_key_and_absent_token_are_named(token: TokenAddress, tmp_path: Path) -> None:
    """The operator reads what is missing: key, token, library."""
    clear = material("variant", "07")
    for address, why in (
        (token, "token lmk, key absent: NoSuchKey"),
        (token._replace(token="nobody"), "token nobody: looking for it: NoSuchToken"),
        (token._replace(library=tmp_path / "none.so"), "no PKCS#11 library at"),
    ):
        with pytest.raises(TokenError, match=why):
            seal(clear, [TokenSealer(address, "absent")], tmp_path / "lmks")


def test_other_key_of_the_same_token_does_not_open(token: TokenAddress, tmp_path: Path) -> None:
    """Neither by name nor, once renamed in the file, by value."""
    make_token_key(token, other := os.urandom(8).hex())
    path = seal(material("variant", "07"), [TokenSealer(token, "aes-gcm")], tmp_path / "lmks")
    with pytest.raises(CannotOpenError, match="no sealer of this file"):
        load_sealed(path).open(TokenSealer(token, other))

    path.write_text(path.read_text().replace('"key": "aes-gcm"', f'"key": "{other}"'))
    with pytest.raises(CannotOpenError, match="does not open it"):
        load_sealed(path).open(TokenSealer(token, other))


def test_labels_must_fit_the_file(token: TokenAddress) -> None:
    """They stand in the sealed file and in errors."""
    for address, key in ((token, ""), (token, "a\nb"), (token._replace(token="x" * 33), "k")):
        with pytest.raises(SealingError, match="1 to 32 characters"):
            TokenSealer(address, key)


def test_software_token_process(tmp_path: Path) -> None:
    """In a process of its own: a wrong PIN and a PIN file open to others are refused, a session's
    end logs out, and the extra's absence is told."""
    run_script(
        tmp_path,
        """
        import sys
        from pathlib import Path
        from hsm.sealing.errors import BadFileError, TokenError
        from hsm.sealing.testing import make_software_token
        from hsm.sealing.token_session import TokenSession

        folder = Path(sys.argv[1])
        address = make_software_token(folder)
        right = address.pin_file.read_text()
        def refused(kind, text):
            try:
                TokenSession(address)
            except kind as error:
                assert text in str(error) and "1234" not in repr(error), error
            else:
                raise AssertionError(text)
        address.pin_file.write_text("12341234\\n")
        refused(TokenError, "token lmk: logging in: PinIncorrect")
        address.pin_file.write_bytes(b"\\xff\\xfe")
        refused(BadFileError, "pin: PIN: UTF-8 text is needed")
        address.pin_file.write_text(right)
        address.pin_file.chmod(0o644)
        refused(BadFileError, "pin: mode")
        address.pin_file.unlink()
        refused(BadFileError, "pin: file: cannot be opened: No such file")
        address.pin_file.touch(0o600)
        address.pin_file.write_text(right)
        with TokenSession(address):
            address.pin_file.write_text("12341234\\n")
            TokenSession(address).close()
        refused(TokenError, "PinIncorrect")
        sys.modules["pkcs11"] = None
        refused(TokenError, "pip install 'yinyitong[pkcs11]'")
        """,
    )


def run_script(folder: Path, script: str) -> None:
    """Python in a process of its own; whatever it prints is a failure."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(folder)],
        env=os.environ | {"YYT_LANG": "en"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("", "")


# -- level B: the LMK in the token


def test_every_key_of_the_lmk_stays_in_the_token(
    token: TokenAddress,
    variant: tuple[LmkMaterial, TokenVariantLmk],
    block: tuple[LmkMaterial, TokenBlockLmk],
) -> None:
    """Each is sensitive, not extractable, not changeable; its value cannot be read, nor copied out
    by making it extractable."""
    with TokenSession(token, writable=True) as session:
        found = [
            key
            for key in session.raw.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY})
            if str(key[Attribute.LABEL]).startswith(("lmk.10/", "lmk.12/"))
        ]
        assert len(found) == 6 * len(keys.KEY_TYPES) + 1 + 2
        for key in found:
            assert key[Attribute.SENSITIVE]
            assert not key[Attribute.EXTRACTABLE]
            with pytest.raises(AttributeSensitive):
                _ = key[Attribute.VALUE]
            with pytest.raises(PKCS11Error):
                key[Attribute.EXTRACTABLE] = True


def test_level_b_lmk_speaks_for_itself(
    variant: tuple[LmkMaterial, TokenVariantLmk], block: tuple[LmkMaterial, TokenBlockLmk]
) -> None:
    """Id, scheme, check value as of the clear LMK; live, so allowed in production only."""
    for clear, held in (variant, block):
        assert (held.lmk_id, held.scheme, held.test) == (clear.lmk_id, clear.scheme, False)
        assert held.check_value == clear.check_value
        allowed(held, production=True)
        with pytest.raises(SealingError, match="is live"):
            allowed(held, production=False)


@pytest.mark.parametrize("key_type", keys.KEY_TYPES)
def test_variant_lmk_in_the_token_wraps_as_the_clear_one(
    variant: tuple[LmkMaterial, TokenVariantLmk], key_type: str
) -> None:
    """Every key type, under every scheme: the token's cryptogram is the software's, and back."""
    clear, held = variant
    software = lmk.VariantLmk(clear)
    for scheme, length in (("U", 16), ("X", 16), ("T", 24), ("Y", 24), ("Z", 8)):
        key = primitives.odd_parity(os.urandom(length))
        blocks = [(at // 8, key[at : at + 8]) for at in range(0, length, 8)]
        wrapped = [held.encrypt(wrapping_label(key_type, scheme, at), part) for at, part in blocks]

        expected = str(software.wrap(key_type, scheme, key)).removeprefix(scheme)
        assert b"".join(wrapped).hex().upper() == expected
        unwrapped = [
            held.decrypt(wrapping_label(key_type, scheme, at), part)
            for at, part in enumerate(wrapped)
        ]
        assert b"".join(unwrapped) == key


@settings(max_examples=50, deadline=None)
@given(data=st.binary(min_size=8, max_size=64).map(lambda data: data[: len(data) // 8 * 8]))
def test_pin_key_in_the_token_is_lmk_pair_02_03(
    variant: tuple[LmkMaterial, TokenVariantLmk], data: bytes
) -> None:
    """PINs between commands rest under the same pair on both levels."""
    clear, held = variant
    pair = clear.secret[16:32]

    assert held.encrypt(PIN_LABEL, data) == primitives.ecb_encrypt(pair, data)
    assert held.decrypt(PIN_LABEL, held.encrypt(PIN_LABEL, data)) == data


@settings(max_examples=50, deadline=None)
@given(
    iv=st.binary(min_size=16, max_size=16),
    data=st.binary(min_size=16, max_size=96).map(lambda data: data[: len(data) // 16 * 16]),
)
def test_block_lmk_in_the_token_works_as_the_clear_one(
    block: tuple[LmkMaterial, TokenBlockLmk], iv: bytes, data: bytes
) -> None:
    """CBC there and back and CMAC, equal to the derived keys' in software."""
    clear, held = block
    software = keyblock.AesBlockCipher(clear.secret)

    assert held.encrypt(iv, data) == software.encrypt(iv, data)
    assert held.decrypt(iv, held.encrypt(iv, data)) == data
    assert held.mac(data) == software.mac(data)
    assert held.mac(data[:5]) == software.mac(data[:5])
    assert (held.version, held.unit, held.mac_length) == (
        software.version,
        software.unit,
        software.mac_length,
    )


@pytest.mark.parametrize("key_type", keys.KEY_TYPES)
def test_slot_takes_a_variant_lmk_in_a_token(
    variant: tuple[LmkMaterial, TokenVariantLmk], key_type: str
) -> None:
    """Each side opens what the other wrapped, and refuses the same: wrong type, scheme, length."""
    clear, held = variant
    software, token_lmk = lmk.VariantLmk(clear), lmk_in_token(held)
    use = any_use(key_type)
    for scheme, length in keys.SCHEME_BYTES.items():
        key = primitives.odd_parity(os.urandom(length))
        wrapped = software.keep(NewKey(key_type, scheme), key, os.urandom)

        assert token_lmk.keep(NewKey(key_type, scheme), key, os.urandom) == wrapped
        assert token_lmk.hold(use, wrapped) == software.hold(use, wrapped)
        assert token_lmk.hold(use, wrapped).clear == key
        with pytest.raises(CommandError, match="26"):
            token_lmk.keep(NewKey(key_type, scheme), key + key, os.urandom)
    for wrong in ("FFF", "777"):
        for side in (software, token_lmk):
            with pytest.raises(CommandError, match="28" if wrong == "FFF" else "04"):
                side.hold(any_use(wrong), wrapped)
    damaged = Cryptogram("U", primitives.ecb_encrypt(os.urandom(16), bytes(16)).hex().upper())
    for side in (software, token_lmk):
        with pytest.raises(lmk.ParityError):
            side.hold(use, damaged)
    token_lmk.forget()


def test_slot_takes_a_key_block_lmk_in_a_token(
    block: tuple[LmkMaterial, TokenBlockLmk],
) -> None:
    """Each side opens the other's key blocks; one changed character is refused by both."""
    clear, held = block
    software, token_lmk = lmk.BlockLmk(clear), lmk_in_token(held)
    header = BlockHeader("1", "P0", "T", "N", "00", "E", (), "12")
    key = primitives.odd_parity(os.urandom(16))
    new = NewKey("FFF", "S", header)
    use = any_use("001")
    for one, other in ((software, token_lmk), (token_lmk, software)):
        wrapped = one.keep(new, key, os.urandom)
        assert other.hold(use, wrapped).clear == key
        body = wrapped.body[:-1] + ("0" if wrapped.body[-1] != "0" else "1")
        with pytest.raises(CommandError, match="A4"):
            other.hold(use, Cryptogram("S", body))
    assert token_lmk.pin_key == software.pin_key
    assert token_lmk.check_value == software.check_value


@pytest.mark.parametrize("scheme", SCHEMES)
def test_test_lmk_is_kept_out_of_the_token(token: TokenAddress, scheme: str) -> None:
    """Level B is for live LMKs: by status, and by published value."""
    published = published_test_material(scheme, "20")
    for refused in (
        published,
        LmkMaterial("20", scheme, False, published.secret),
        LmkMaterial("20", scheme, True, os.urandom(SCHEMES[scheme])),
    ):
        with pytest.raises(TokenError, match="live LMKs only"):
            provision(refused, token)


def test_lmk_that_a_token_cannot_hold_is_refused(token: TokenAddress) -> None:
    """A triple-DES key-block LMK, and a variant LMK with a pair that is single DES."""
    with pytest.raises(TokenError, match="not tdes-block"):
        provision(material("tdes-block", "20"), token)
    weak = bytearray(os.urandom(320))
    weak[24:32] = weak[16:24]  # the PINs' pair, 02-03
    with pytest.raises(TokenError, match="equal halves"):
        provision(LmkMaterial("20", "variant", False, bytes(weak)), token)


def test_lmk_in_the_token_is_neither_overwritten_nor_mixed_up(token: TokenAddress) -> None:
    """A second one of the same id is refused; a foreign or missing key shows when it is opened."""
    first = material("aes-block", "21")
    provision(first, token)
    with pytest.raises(TokenError, match="holds an LMK 21 already"):
        provision(material("aes-block", "21"), token)
    open_token_lmk("21", token).close()

    with TokenSession(token, writable=True) as session:
        session.raw.get_key(label=f"lmk.21/{CIPHER_LABEL}").destroy()
    with pytest.raises(TokenError, match="no key block-encryption"):
        open_token_lmk("21", token)
    with TokenSession(token, writable=True) as session:
        session.raw.generate_key(
            KeyType.AES,
            256,
            label=f"lmk.21/{CIPHER_LABEL}",
            store=True,
            capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        )
    with pytest.raises(TokenError, match="not those put there"):
        open_token_lmk("21", token)
    remove_token_lmk("21", token)


def test_removed_lmk_is_gone_and_its_place_free(token: TokenAddress) -> None:
    """No object is left of it; the next one may come."""
    provision(material("aes-block", "22"), token)
    remove_token_lmk("22", token)

    with TokenSession(token) as session:
        labels = [str(found[Attribute.LABEL]) for found in session.raw.get_objects()]
    assert [label for label in labels if label.startswith("lmk.22/")] == []
    for attempt in (open_token_lmk, remove_token_lmk):
        with pytest.raises(TokenError, match="no LMK 22"):
            attempt("22", token)
    provision(material("aes-block", "22"), token)


def test_provisioning_that_was_cut_short_is_done_again(token: TokenAddress) -> None:
    """Keys without a head are nobody's: they are removed, not mixed with the new ones."""
    with TokenSession(token, writable=True) as session:
        session.raw.generate_key(KeyType.AES, 256, label=f"lmk.23/{CIPHER_LABEL}", store=True)
    with pytest.raises(TokenError, match="no LMK 23"):
        open_token_lmk("23", token)
    provision(material("aes-block", "23"), token)
    open_token_lmk("23", token).close()


def test_unknown_label_is_an_error_not_another_key(
    variant: tuple[LmkMaterial, TokenVariantLmk],
) -> None:
    """A key type that came after the provisioning is missing, and says so."""
    with pytest.raises(TokenError, match="holds no key 777:U0"):
        variant[1].decrypt("777:U0", bytes(8))


def test_token_s_own_refusal_is_told_without_data(
    variant: tuple[LmkMaterial, TokenVariantLmk],
) -> None:
    """Half a block: the error names LMK and key, and nothing of what was asked."""
    with pytest.raises(TokenError, match=r"LMK 10, key 001:U0: \w+$"):
        variant[1].decrypt("001:U0", b"\xca\xfe\xba\xbe")


def test_every_label_has_its_own_key(variant: tuple[LmkMaterial, TokenVariantLmk]) -> None:
    """Types and masks that share a pair do not share a key, or one type would open another."""
    made = working_keys(variant[0])

    assert len(set(made.values())) == len(made)
    assert len(made) == (1 + sum(MASKED_BLOCKS.values())) * len(keys.KEY_TYPES) + 1


def test_I12_no_error_and_no_repr_of_a_token_shows_a_secret(
    token: TokenAddress, variant: tuple[LmkMaterial, TokenVariantLmk], tmp_path: Path
) -> None:
    """The PIN, the LMK and its keys: in no text that could be logged."""
    clear, held = variant
    texts = [repr(held), repr(TokenSealer(token, "aes-gcm")), repr(token)]
    with pytest.raises(TokenError) as refused:
        provision(clear, token)
    texts += traceback.format_exception(refused.value)
    path = seal(clear, [TokenSealer(token, "aes-gcm")], tmp_path / "lmks")
    changed_last_bit(path, "wrapped")
    with pytest.raises(CannotOpenError) as closed:
        load_sealed(path).open(TokenSealer(token, "aes-gcm"))
    texts += traceback.format_exception(closed.value)

    everything = "".join(texts).upper()
    assert SOFTWARE_TOKEN_PIN not in everything
    for secret in (clear.secret[:16], *working_keys(clear).values()):
        assert secret.hex().upper() not in everything
        assert repr(secret)[2:-1].upper() not in everything
