"""Which dialect a command or a configuration means, and what is said when there is none."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from channels.iso8583.load import BUILT_IN, load_dialect, read_source
from switch import cli

EXAMPLE = Path(__file__).parents[2] / "conf" / "switch.example.yaml"
COMMANDS = {
    "describe": ["describe", "0200", "--dialect"],
    "check": ["dialect", "check"],
    "show": ["dialect", "show"],
    "diff": ["dialect", "diff", "cup-pos"],
}
SIMULATE = [
    *(sys.executable, "-m", "switch.cli", "bank", "simulate", "--listen", "127.0.0.1:0"),
    *("--http", "0", "--ledger", "none.db", "--keys", "none.yaml", "--dialect", "nope"),
]


@pytest.fixture(autouse=True)
def _language(monkeypatch, tmp_path):
    """``--lang`` stays in the environment of the process: put it back. Nothing is left behind."""
    monkeypatch.setenv("YYT_LANG", "zh")
    monkeypatch.chdir(tmp_path)


def _conf(capsys, dialect, *, language="en", more=""):
    """What ``yyt conf check`` says of the example configuration with this dialect, and its code."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("dialect: cup-pos", f"dialect: {dialect}", 1)
    text = text.replace("      clearing: outpatient\n", f"      clearing: outpatient\n{more}", 1)
    Path("switch.yaml").write_text(text, encoding="utf-8")
    code = cli.main(["--lang", language, "conf", "check", "switch.yaml"])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("language", "words"), [("zh", "没有报文规范 nope"), ("en", "no such dialect: nope")]
)
def test_an_unknown_dialect_is_told_with_those_that_there_are(capsys, command, language, words):
    """The same sentence everywhere, in the operator's language; no name of an exception."""
    code = cli.main(["--lang", language, *COMMANDS[command], "nope"])
    said = capsys.readouterr().err
    _, of_conf = _conf(capsys, "nope", language=language)

    assert code == (1 if command == "check" else 2)
    for text in (said, of_conf):
        assert words in text
        assert all(name in text for name in BUILT_IN)
        assert "Error" not in text


def test_the_simulator_tells_an_unknown_dialect_as_every_other_command():
    """The same sentence, from the process as it is started."""
    done = subprocess.run(SIMULATE, capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 2
    assert "没有报文规范 nope" in done.stderr
    assert all(name in done.stderr for name in BUILT_IN)


def test_a_file_that_cannot_be_read_is_told_with_the_reason(capsys):
    """No such file, a folder, no text: three sentences, exit 1, no traceback."""
    Path("folder.yaml").mkdir()
    Path("bytes.yaml").write_bytes(b"\xff\xfe")
    Path("empty.yaml").write_text("", encoding="utf-8")
    for name, words in (
        ("./none.yaml", "no such dialect file: ./none.yaml"),
        ("folder.yaml", "Is a directory"),
        ("bytes.yaml", "UTF-8"),
        ("empty.yaml", "empty.yaml: must be keys and values"),
    ):
        assert cli.main(["--lang", "en", "dialect", "check", name]) == 1
        assert words in capsys.readouterr().err


def test_a_configuration_names_a_dialect_file_by_its_whole_path(capsys):
    """A service has no folder of its own: what works in a shell must not fail under systemd."""
    assert cli.main(["dialect", "show", "--source", "cup-pos"]) == 0
    Path("harbour.yaml").write_text(capsys.readouterr().out, encoding="utf-8")

    for relative in ("./harbour.yaml", "harbour.yaml"):
        code, said = _conf(capsys, relative)
        assert code == 2
        assert f"dialect {relative}: a configuration names the file by its whole path" in said
    code, said = _conf(capsys, Path("harbour.yaml").absolute())
    assert (code, "right" in said) == (0, True), said


def test_the_guides_last_step_names_the_file_as_a_configuration_must():
    """docs/dialect-guide.md: a whole path, and the check before the start."""
    guide = (EXAMPLE.parents[1] / "docs" / "dialect-guide.md").read_text(encoding="utf-8")
    named = re.findall(r"`dialect: (\S+\.yaml)`", guide)

    assert named
    assert all(Path(one).is_absolute() for one in named)
    assert "yyt conf check" in guide


@pytest.mark.parametrize("dialect", BUILT_IN)
@pytest.mark.parametrize("key", ["operator", "serial"])
def test_what_no_message_of_the_dialect_says_is_refused(capsys, dialect, key):
    """An operator number or a serial number that would never be sent is a mistake somewhere."""
    code, said = _conf(capsys, dialect, more=f'      {key}: "007"\n')

    if dialect == "cup-pos":
        assert (code, "right" in said) == (0, True), said
    else:
        assert code == 2
        assert f"terminals[0].{key}: no message of dialect {dialect} has a place for it" in said


@pytest.mark.parametrize("dialect", sorted(set(BUILT_IN) - {"cup-pos"}))
def test_a_table_of_codes_that_no_bank_confirmed_says_so(dialect):
    """UnionPay's common table stands in every file, and beside it that the bank is to be asked."""
    source = read_source(dialect)
    before = source[: source.index("\ncodes:\n")].rsplit("\n\n", 1)[1]

    assert load_dialect(dialect).codes == load_dialect("cup-pos").codes
    assert "银联通用应答码表" in before
    assert "与银行确认" in before


@pytest.mark.parametrize("dialect", BUILT_IN)
def test_a_dialect_without_a_notice_of_scripts_says_what_becomes_of_them(dialect):
    """Its sale carries field 55, so its answers may bring scripts."""
    head = read_source(dialect).split("\nname: ", 1)[0]

    assert (load_dialect(dialect).script_notice is None) is ("script_notice" in head)
