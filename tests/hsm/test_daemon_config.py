"""The configuration of a key service: strict, and every mistake named by field and rule."""

import re
from pathlib import Path

import pytest
import yaml

from hsm.ceremony.founding import found
from hsm.daemon.config import Config, ConfigError, load_config
from hsm.policy import STRICT_TRANSLATIONS, Policy
from hsm.sealing.entries import Cost
from hsm.sealing.passphrase import Officer

EXAMPLE = Path(__file__).parents[2] / "conf" / "hsm.example.yaml"


def loaded(folder: Path, text: str) -> Config:
    """This text as a file."""
    path = folder / "hsm.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def test_the_example_is_right() -> None:
    """The file that operators copy; what it leaves out is strict."""
    config = load_config(EXAMPLE)
    rules = config.rules()

    assert config.production
    assert config.lmk.slots["01"].replaces == "00"
    assert rules.separate_002
    assert not rules.test
    assert rules.pin_translations == STRICT_TRANSLATIONS
    assert rules.needing_authority == Policy().needing_authority
    assert {"BA", "NG"} <= rules.disabled


@pytest.mark.parametrize("production", [True, False])
def test_init_writes_a_configuration_that_loads(tmp_path: Path, production: bool) -> None:
    """With everything it names; only a test service has an LMK at once."""
    officers = Officer("Li", "the passphrase of Li"), Officer("Wang", "the passphrase of Wang")
    cheap = Cost(memory_kib=64, passes=1, lanes=1)
    config = load_config(found(tmp_path / "new", production, officers, cheap))

    assert config.production is production
    assert Path(config.officers).is_file()
    assert Path(config.audit.key).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert (Path(config.lmk.folder) / "lmk.00.sealed").exists() is not production


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("mode: production", "mode: live", "mode: Invalid enum value 'live'"),
        ("mode: production", "Mode: production", "contains unknown field `Mode`"),
        ("  frame_ms: 5000", "", "limits: Object missing required field `frame_ms`"),
        ("  frame_ms: 5000", "  frame_ms: 0", "limits.frame_ms: Expected `int` >= 1"),
        ("  frame_ms: 5000", "  frame_ms: 5s", "limits.frame_ms: Expected `int`"),
        ('replaces: "00"', 'replaces: "02"', "slots.01.replaces: must be another slot"),
        ('"01":', '"1":', "lmk.slots"),
        ("kind: unix", "kind: tcp", "listeners[0]"),
        ("[A0, A6,", "[A0, Q7,", "Q7 is no command"),
        ("uid: 998", "common_name: x\n    uid: 998", "either uid or common_name"),
        ("uid: 998", "uid: -1", "clients"),
        ("  switch:", "  '1234567890123456':", "cannot be a name in the audit log"),
        ("separate_002: true", "disabled: [NG]", "BA and NG stay disabled"),
        ("separate_002: true", 'pin_translations: ["01-99"]', "01-99 is not known"),
        ("metrics_port: 9150", "metrics_port: 9150\nmetrics_port: 1", "a key is twice here"),
        ("uids: [0]", "uids: &a [0]\n  other: *a", "an alias is not allowed"),
        ("name: hsm-1", "name: [", "hsm.yaml:"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    """One change to the example, and the sentence says where and what."""
    text = EXAMPLE.read_text(encoding="utf-8")
    assert before in text
    with pytest.raises(ConfigError, match=re.escape(said)):
        loaded(tmp_path, text.replace(before, after, 1))


def test_two_clients_are_not_one(tmp_path: Path) -> None:
    """The same user under two names would get the rights of either."""
    text = EXAMPLE.read_text(encoding="utf-8")
    second = "clients:\n  other:\n    uid: 998\n    commands: [all]\n"
    with pytest.raises(ConfigError, match="two of them have the same"):
        loaded(tmp_path, re.sub("clients:.*\n", second, text))


def test_I11_a_file_without_end_is_refused(tmp_path: Path) -> None:
    """Only so many bytes are read; a missing file is named too."""
    with pytest.raises(ConfigError, match="more than"):
        loaded(tmp_path, "# " + "x" * 70_000)
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigError):
        loaded(tmp_path, yaml.dump([1, 2]))
