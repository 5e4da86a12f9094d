"""``yyt dialect``, and the generated reference pages."""

import json
from pathlib import Path

import pytest

from channels.iso8583.dialect_diff import differences
from channels.iso8583.dialect_page import reference_page
from channels.iso8583.load import BUILT_IN, load_dialect, read_source
from switch import cli

PAGES = Path(__file__).parents[2] / "docs" / "dialects"


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_reference_page_is_fresh(name):
    """The page in docs/dialects is what `yyt dialect show NAME` prints."""
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")

    assert page == reference_page(load_dialect(name)), f"yyt dialect show {name} > docs/dialects/…"


def test_there_is_a_page_for_each_dialect_and_no_other():
    """Built-in dialects, their files and their pages are the same set."""
    folder = Path(__file__).parents[2] / "channels" / "iso8583" / "dialects"

    assert {path.stem for path in PAGES.glob("*.md")} == set(BUILT_IN)
    assert {path.stem for path in folder.glob("*.yaml")} == set(BUILT_IN)


@pytest.mark.parametrize("name", BUILT_IN)
def test_check_says_what_a_dialect_offers(capsys, name):
    """Exit 0, a sentence, or JSON."""
    assert cli.main(["dialect", "check", name]) == 0
    assert "sale" in capsys.readouterr().out
    assert cli.main(["dialect", "check", "--json", name]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["ok"] is True
    assert "sale" in facts["operations"]


def test_check_names_the_mistake(capsys, tmp_path):
    """Exit 1; file, path inside it and reason on stderr, or in JSON on stdout."""
    path = tmp_path / "mine.yaml"
    assert cli.main(["dialect", "show", "--source", "cup-pos"]) == 0
    path.write_text(capsys.readouterr().out.replace("{amount}", "{amuont}", 1), encoding="utf-8")

    assert cli.main(["dialect", "check", str(path)]) == 1
    said = capsys.readouterr()
    assert cli.main(["dialect", "check", "--json", str(path)]) == 1
    in_json = json.loads(capsys.readouterr().out)

    assert said.out == ""
    assert "mine.yaml: operations.sale.fields.4: no value is called amuont" in said.err
    assert in_json["ok"] is False
    assert "amuont" in in_json["error"]


def test_the_page_marks_the_codes_that_the_bank_has_to_confirm():
    """All of a bank's that has published none; of UnionPay's POS table at least those that the
    onboarding list asks for, and those that everybody knows not."""
    listed = (PAGES.parent / "bank-onboarding.md").read_text(encoding="utf-8")
    asked = listed.split("Response codes. For ", 1)[1].split(":", 1)[0].replace("A2 … A6", "A2, A6")
    for name in BUILT_IN:
        table = reference_page(load_dialect(name)).split("## Response codes\n", 1)[1]
        rows = [line.strip("| ").split(" | ") for line in table.splitlines() if "| " in line][1:-1]
        marked = {row[0] for row in rows if row[-1] == "与银行确认"}

        assert len(rows) == len(load_dialect(name).codes)
        if name == "cup-pos":
            assert set(asked.split(", ")) <= marked
            assert not marked & {"00", "14", "51", "54", "55"}
        else:
            assert len(marked) == len(rows)


def test_a_code_to_confirm_that_is_no_code_is_a_mistake(capsys, tmp_path):
    """Path and reason."""
    path = tmp_path / "mine.yaml"
    source = read_source("zj-bcd")
    path.write_text(source.replace("to_confirm: all", 'to_confirm: ["00", ZZ]'), encoding="utf-8")

    assert cli.main(["dialect", "check", str(path)]) == 1
    assert "codes_to_confirm: ZZ is not in codes" in capsys.readouterr().err


def test_diff_of_a_dialect_with_itself_and_another(capsys):
    """0 and one sentence, 1 and every place with both values."""
    assert cli.main(["--lang", "en", "dialect", "diff", "cup-pos", "cup-pos"]) == 0
    assert "the same" in capsys.readouterr().out
    assert cli.main(["dialect", "diff", "cup-pos", "zj-bcd"]) == 1
    said = capsys.readouterr().out
    assert "mac.rule\n  - cup_ecb\n  + x919_retail\n" in said
    found = differences(load_dialect("cup-pos"), load_dialect("zj-bcd"))
    back = differences(load_dialect("zj-bcd"), load_dialect("cup-pos"))
    assert {(one.path, one.first, one.second) for one in found} == {
        (one.path, one.second, one.first) for one in back
    }


def test_a_dialect_that_is_not_there_exits_2(capsys):
    """One line, whatever the verb."""
    for verb in (["show", "nobody"], ["diff", "cup-pos", "./nobody.yaml"]):
        assert cli.main(["dialect", *verb]) == 2
        assert "nobody" in capsys.readouterr().err


def test_list_shows_all(capsys):
    """Names, titles, businesses."""
    assert cli.main(["dialect", "list"]) == 0
    said = capsys.readouterr().out
    assert cli.main(["dialect", "list", "--json"]) == 0
    assert all(name in said for name in BUILT_IN)
    assert [one["name"] for one in json.loads(capsys.readouterr().out)] == list(BUILT_IN)
