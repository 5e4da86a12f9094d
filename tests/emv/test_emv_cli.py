"""``yyt emv``: recorded cards in files, the printed and the JSON form, exit codes; explain."""

import io
import json
import sys
from pathlib import Path

import pytest

from switch.cli import main
from terminal_agent.devices.virtual_card import PRESETS
from terminal_agent.emv import transcript
from tests.emv.parts import AID, ARQC, ARQC_ANSWER, PAN, PSE, application, record, select

KEYS = [
    *("profile", "atr", "steps", "aid", "label", "pan_masked", "tvr", "tsi", "field55", "end"),
    *("reasons", "host_approved", "reversal_needed", "field55_reversal", "script_results"),
    *("field55_notice", "stripe_allowed"),
]
CARD = [
    [PSE, "6A82"],
    [select(AID), application(AID)],
    ["80A80000", "80067C00080101009000"],
    ["00B2010C", record() + "9000"],
    [ARQC, ARQC_ANSWER],
    ["80AE40", "801340" + "0007" + "99AABBCCDDEEFF00" + "0701010360000001" + "9000"],
]


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YYT_LANG", "en")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a transcript is written."""
    return tmp_path / "card.json"


def play(file: Path, exchanges: object, capsys: pytest.CaptureFixture[str]) -> dict:
    """``yyt emv run --transcript FILE --json`` of these exchanges."""
    file.write_text(json.dumps({"atr": "3B00", "exchanges": exchanges}))
    assert main(["emv", "run", "--transcript", str(file), "--amount", "12345", "--json"]) == 0
    out = capsys.readouterr().out
    assert PAN not in out
    return json.loads(out)


def test_a_recorded_card_is_played_to_its_end(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorded without Le and by prefix: approved, with every key in its place."""
    result = play(file, CARD, capsys)

    assert list(result) == KEYS
    assert (result["end"], result["reasons"]) == ("approved", [])
    assert (result["tvr"], result["tsi"]) == ("8000048000", "6800")
    assert result["pan_masked"] == "620000******0005"
    assert result["field55"].startswith("9F26081122334455667788" + "9F270180")
    assert "9F0206000000012345" in result["field55"]
    assert [step["name"] for step in result["steps"]][-2:] == ["second_ac", "end"]


def test_what_was_not_recorded_is_answered_by_its_kind(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SELECT 6A82, READ RECORD 6A83, anything else 6D00: each a defined end, exit code 0."""
    assert play(file, [], capsys)["reasons"] == ["no_application"]
    without = {
        header: [e for e in CARD if not e[0].startswith(header)] for header in ("00B2", "80A8")
    }
    result = play(file, without["00B2"], capsys)
    assert result["reasons"] == ["record_unreadable"]
    assert any(step["detail"].endswith("6A83") for step in result["steps"])
    result = play(file, without["80A8"], capsys)
    assert result["reasons"] == ["gpo_refused"]
    assert any(step["detail"] == "6D00" for step in result["steps"])


def test_a_recorded_wrong_length_is_corrected(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """T=0 style: 6Cxx is answered by the same command with the length; 61xx by GET RESPONSE."""
    data = record()
    length = f"{len(data) // 2:02X}"
    read = [["00B2010C", "6C" + length], ["00B2010C" + length, data + "9000"]]
    first = [[ARQC, "6115"], ["00C0000015", ARQC_ANSWER]]
    kept = [exchange for exchange in CARD if exchange[0] not in ("00B2010C", ARQC)]
    assert play(file, kept + read + first, capsys)["end"] == "approved"


def test_equal_commands_answer_in_their_order(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorded twice, answered once each; the last stays."""
    card = transcript.RecordedCard(
        b"", [(b"\0\xb2\1\x0c", b"\1\x90\0"), (b"\0\xb2\1\x0c", b"\2\x90\0")]
    )
    assert [card.transmit(b"\0\xb2\1\x0c\0")[0] for _ in range(3)] == [1, 2, 2]


def test_the_longest_recorded_prefix_answers() -> None:
    """A shorter one does not hide it."""
    card = transcript.RecordedCard(
        b"", [(b"\x80\xae\0\0", b"\x69\x85"), (b"\x80\xae\0\0\1\7", b"\x90\0")]
    )
    assert card.transmit(bytes.fromhex("80AE00000107")) == b"\x90\0"
    assert card.transmit(bytes.fromhex("80AE0000010700")) == b"\x90\0"
    assert card.transmit(bytes.fromhex("80AE00000108")) == b"\x69\x85"
    assert card.transmit(bytes.fromhex("80AE0000")) == b"\x69\x85"


def test_a_pulled_and_a_dumb_card_can_be_recorded(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty response is a pull; an empty ATR a chip that does not answer: the stripe's turn."""
    pulled = [e if e[0] != "80AE40" else ["80AE40", ""] for e in CARD]
    result = play(file, pulled, capsys)
    assert (result["end"], result["reversal_needed"]) == ("declined", True)

    file.write_text(json.dumps({"atr": "", "exchanges": []}))
    assert main(["emv", "run", "--transcript", str(file), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["reasons"], result["stripe_allowed"]) == (["chip_unreadable"], True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"atr": "3B00"}',
        '{"atr": "3B0", "exchanges": []}',
        '{"atr": "3B 00", "exchanges": []}',
        '{"atr": "3B00", "exchanges": [["00A40400"]]}',
        '{"atr": "3B00", "exchanges": [["00A", "9000"]]}',
        '{"atr": "3B00", "exchanges": [["00A40400", "90"]]}',
        '{"atr": "3B00", "exchanges": [["00A4040g", "9000"]]}',
        '{"atr": "3B00", "exchanges": [["", "9000"]]}',
        '{"atr": "3B00", "exchanges": [["00A40400", 9000]]}',
        "\udcff",
    ],
)
def test_a_bad_file_is_exit_code_2(
    file: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not JSON, not this form, not hex."""
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert main(["emv", "run", "--transcript", str(file)]) == 2
    assert "card.json" in capsys.readouterr().err


def test_I11_a_huge_file_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The size of a transcript is bounded."""
    file.write_bytes(b" " * (transcript.FILE_BYTES_MAX + 1))
    assert main(["emv", "run", "--transcript", str(file)]) == 2
    assert "more than" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        ["--transcript", "there-is-none.json"],
        ["--card", "debit", "--amount", "0"],
        ["--card", "debit", "--amount", "1000000000000"],
        ["--card", "debit", "--profile", "nobody"],
        ["--card", "debit", "--merchant", "1"],
        ["--card", "nobody"],
        ["--reader", "("],
    ],
)
def test_wrong_arguments_are_exit_code_2(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Each says why in one line."""
    assert main(["emv", "run", *wrong]) == 2
    assert capsys.readouterr().err.startswith("yyt emv: ")


def test_a_reader_without_pyscard_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    assert main(["emv", "run", "--reader", "ACS"]) == 2
    assert "yinyitong[card]" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_virtual_card_writes_a_transcript_that_plays(
    name: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recorded, then played: the same path, although date and unpredictable number differ."""
    assert main(["emv", "run", "--card", name, "--record", str(file), "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert main(["emv", "run", "--transcript", str(file), "--json"]) == 0
    second = json.loads(capsys.readouterr().out)

    assert second["steps"] == first["steps"]
    assert second["end"] == "approved"


def test_the_printed_form(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps, then the results; English and Chinese."""
    file.write_text(json.dumps({"atr": "3B00", "exchanges": CARD[:-1]}))
    assert main(["emv", "run", "--transcript", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(" 1 select_pse              6A82\n")
    assert "TVR       8000048000\n" in out
    assert "end       declined (second_ac_refused)\n" in out
    assert "reverse it" in out
    assert PAN not in out
    assert main(["--lang", "zh", "emv", "run", "--transcript", str(file)]) == 0
    assert "需冲正" in capsys.readouterr().out


def test_help_says_that_the_kernel_is_not_certified(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody shall think otherwise."""
    assert main(["emv", "--help"]) == 0
    assert "NOT a certified EMVCo Level 2 kernel" in capsys.readouterr().out


EXPLAINED = {
    "95058040048040": ["expired application", "online PIN entered", "issuer authentication failed"],
    "9F34034203 00": ["online PIN, if the terminal can / next if unsuccessful", "unknown"],
    "9F34033F0000": ["none performed, always"],
    "9F270180": ["ARQC"],
    "940808010100 10010201": ["file 1, records 1 to 1", "file 2, records 1 to 2"],
    "8C059F02069C01": ["9F02 6 Amount, authorised", "9C 1 Business type"],
    "8C019F": ["cut short"],
    "8E0C00000000000000004203 1E03": ["X 0, Y 0", "signature, if the terminal can"],
    "870181": ["1, to be confirmed"],
    "82027C00": ["cardholder verification", "issuer authentication"],
    "5004504F4B41": ["POKA"],
    "DF7F0101": ["DF7F"],
    "9F3403": ["cut short"],
}


@pytest.mark.parametrize("text", EXPLAINED)
def test_objects_are_explained_in_words(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bits, lists, results, texts; garbage is exit code 2."""
    code = main(["emv", "explain", text])
    told = capsys.readouterr()
    for word in EXPLAINED[text]:
        assert word in told.out + told.err
    assert code == (2 if text == "9F3403" else 0)


def test_nested_objects_are_a_tree_and_secrets_masked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from stdin, since a card number does not belong into the process list (I12)."""
    text = "7013" + "5A08" + PAN + "5F20055A48414E47" + "000000"
    text = f"70{(len(text) - 4) // 2:02X}" + text[4:]
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["emv", "explain", "-", "--json"]) == 0
    out = capsys.readouterr().out
    (tree,) = json.loads(out)["objects"]

    assert (tree["tag"], tree["name"], tree["value"]) == ("70", "Record template", "")
    assert [child["value"] for child in tree["children"]] == ["620000******0005", "********"]
    assert PAN not in out
    assert "ZHANG" not in out

    assert main(["emv", "explain", text, "--unmasked"]) == 0
    out = capsys.readouterr().out
    assert PAN in out
    assert "ZHANG" in out
    assert out.splitlines()[1].startswith("  5A Application PAN [8]")
    assert main(["emv", "explain", "XY"]) == 2
