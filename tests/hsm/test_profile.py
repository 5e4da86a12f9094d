"""Profiles: what YAML may say, what each builtin changes on the wire."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm import codec
from hsm.layouts import COMMANDS
from hsm.layouts.dialect import TO_ASCII, TO_EBCDIC, tables
from hsm.policy import Policy
from hsm.profile import PAYSHIELD, Profile, builtin_profiles, load_profile
from hsm.yaml_file import ConfigError

KEY = "0123456789ABCDEFFEDCBA9876543210"
MESSAGE = b"Now is the time for all "
MAC = b"A1C72E74EA3FA9B6"


def frame(host: Any, message: bytes = MESSAGE, form: bytes = b"2", code: bytes = b"M6") -> bytes:
    """X9.19 over the standard's example, 16 characters."""
    key = str(host.wrap("003", KEY)).encode()
    return b"0001" + code + b"0" + form + b"131003" + key + b"%04X" % len(message) + message


def test_builtin_profiles() -> None:
    """Three, each readable; the default needs no file and differs in nothing from its file."""
    assert builtin_profiles() == ("payshield", "racal-cn", "thales-simulator")
    assert load_profile("payshield") == PAYSHIELD
    assert tables(PAYSHIELD) == {}
    for name in builtin_profiles():
        assert load_profile(name).name == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("framing: tcp", "framing"),
        ("sm4_mac: {padding: 3}", "$.sm4_mac.padding"),
        ("no_sockets_digits: 3", "$.no_sockets_digits"),
        ('mac_algorithms: {"0": cbc}', "$.mac_algorithms"),
        ('mac_algorithms: {"1": md5}', "$.mac_algorithms"),
        ("mac_answer_length: maybe", "$.mac_answer_length"),
        ("character_set: utf8", "$.character_set"),
        ("- a list", "object"),
        ("name: a\nname: b", "twice"),
    ],
)
def test_a_wrong_profile_is_named(tmp_path: Path, text: str, says: str) -> None:
    """The file, the field and the rule."""
    path = tmp_path / "bank.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError) as refused:
        load_profile(str(path))
    assert str(path) in str(refused.value)
    assert says in str(refused.value)


def test_an_unknown_name_says_which_there_are() -> None:
    """A plain name is never a path."""
    with pytest.raises(ConfigError, match="racal-cn"):
        load_profile("payshield-11k")


def test_a_mac_behind_its_length(make_host: Callable[[Policy], Any]) -> None:
    """The public simulator's habit; a part of a message has the length 0000 and no MAC."""
    profile = load_profile("thales-simulator")
    host = make_host(Policy(profile=profile))
    answer = host.raw(frame(host))

    assert answer == b"0001M7000010" + MAC
    fields = {"mode": "0", "mac_size": "1"}
    assert codec.parse_response(tables(profile)["M6"], answer[4:], fields)[1] == {
        "mac": MAC.decode()
    }
    first = frame(host).replace(b"M602131", b"M612131")
    assert host.raw(first)[:8] == b"0001M700"
    assert host.raw(first).endswith(b"0000")
    assert len(host.raw(first)) == 8 + 16 + 4


def test_what_a_length_counts(make_host: Callable[[Policy], Any]) -> None:
    """M6 counts characters of hex, or bytes; MS the other way round."""
    host = make_host(Policy())
    other = make_host(Policy(profile=Profile(mac_hex_length="bytes", ms_hex_length="characters")))
    text = MESSAGE.hex().upper().encode()
    characters = frame(host, text, b"1")
    in_bytes = characters.replace(b"%04X" % 48, b"%04X" % 24)
    mab = b"0001MS0011" + str(host.wrap("003", KEY)).encode()

    assert host.raw(characters) == other.raw(in_bytes) == b"0001M700" + MAC
    assert host.raw(in_bytes) == b"0001M715"
    assert other.raw(characters) == b"0001M780"
    assert host.raw(mab + b"0018" + text) == other.raw(mab + b"0030" + text) == b"0001MT00" + MAC


def test_four_digits_of_sockets(make_host: Callable[[Policy], Any]) -> None:
    """NO of newer firmware."""
    host = make_host(Policy(profile=Profile(no_sockets_digits=4)))

    assert host.raw(b"0001NO00")[:14] == b"0001NP00310064"


def test_a_terminal_mac_in_triple_des(make_host: Callable[[Policy], Any]) -> None:
    """MA under a double-length key, as the public simulator has it, is M6 with algorithm 1."""
    host = make_host(Policy(profile=load_profile("thales-simulator")))
    plain = make_host(Policy())
    tak = str(host.wrap("003", KEY)).encode()
    m6 = frame(plain).replace(b"M602131", b"M602111")

    assert host.raw(b"0001MA" + tak + MESSAGE)[8:] == plain.raw(m6)[8:16]
    assert plain.raw(b"0001MA" + tak + MESSAGE)[8:] == MAC[:8]


@pytest.mark.parametrize("form", [b"0", b"1"])
def test_ebcdic(make_host: Callable[[Policy], Any], form: bytes) -> None:
    """Frame and answer are EBCDIC but for the header and binary data; hex is hex."""
    host = make_host(Policy(profile=Profile(character_set="ebcdic")))
    message = MESSAGE if form == b"0" else MESSAGE.hex().upper().encode()
    whole = frame(host, message, form)
    head, body = whole[:4], whole[4:]
    if form == b"0":
        sent = body[: -len(message)].translate(TO_EBCDIC) + message
    else:
        sent = body.translate(TO_EBCDIC)

    answer = host.raw(head + sent)

    assert answer[:4] == head
    assert answer[4:].translate(TO_ASCII) == b"M700" + MAC
    assert host.raw(b"0001" + b"B20003abc".translate(TO_EBCDIC)).endswith(
        b"abc".translate(TO_EBCDIC)
    )
    assert host.raw(b"0001" + b"ZZ".translate(TO_EBCDIC))[4:].translate(TO_ASCII) == b"Z[68"


def test_every_byte_has_its_twin() -> None:
    """The translation loses nothing, so binary data can be translated back."""
    every = bytes(range(256))

    assert every.translate(TO_ASCII).translate(TO_EBCDIC) == every
    assert "A".encode("cp037").translate(TO_ASCII) == b"A"
    assert set(tables(Profile(character_set="ebcdic"))) == set(COMMANDS)
