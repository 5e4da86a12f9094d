"""The switch's file as a whole: sections, plugins' schemas, what must fit together, the command."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from switch import plugins
from switch.cli import main
from switch.plugins import Group, PluginError
from switch.settings.document import SettingsError, parse
from switch.settings.schema import Settings
from switch.settings.whole import from_document, load, plugin_settings, version_of

ROOT = Path(__file__).parents[2]

GOOD = """\
node:
  name: node-1
  data_dir: var/switch
  log_level: info
journal:
  dsn: env:HOUSE_DSN
  queue_limit: 256
  batch_limit: 64
  read_queue_limit: 256
  lease_ms: 15000
  lease_renew_ms: 5000
  connect_timeout_ms: 3000
  statement_timeout_ms: 5000
  retry_max_ms: 2000
hsm:
  plugin: fake
  settings: {timeout_ms: 500}
hospitals:
- id: h1
  name: 第一医院
  plugin: fake
  settings: {timeout_ms: 20000}
channels:
- name: bank-a
  plugin: fake
  settings:
    timeout_ms: 60000
routes:
- {hospital: h1, business: outpatient_bill, medium: bank_card, channel: bank-a}
fronts:
- name: kiosks
  plugin: fake
  settings: {timeout_ms: 1, terminal_timeout_ms: 90000}
limits:
  payments_in_flight: 64
  answer_wait_ms: 50000
  payment_deadline_ms: 300000
  recovery_every_ms: 1000
  recovery_batch: 100
  stop_wait_ms: 5000
metrics:
  host: 127.0.0.1
  port: 9464
"""


class FakeConfig(Struct, frozen=True, kw_only=True):
    """What the fake plugin is configured with."""

    timeout_ms: int
    terminal_timeout_ms: int | None = None

    def longest_ms(self) -> int:
        """One exchange."""
        return self.timeout_ms


class FakePlugin:
    """Stands behind every entry point of this test."""

    name = "fake"
    api_version = 1
    config_schema = FakeConfig
    capabilities = frozenset({"hold", "purchase", "confirm", "reversal"})

    def build(self, name: str, config: Any, context: Any) -> Any:
        """Never called here."""
        raise NotImplementedError


class FakeEntry:
    """An entry point that is already loaded."""

    def __init__(self, plugin: object) -> None:
        self.plugin = plugin

    def load(self) -> object:
        """The plugin itself."""
        return self.plugin


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePlugin:
    """Every group has one plugin, ``fake``."""
    plugin = FakePlugin()
    monkeypatch.setattr(plugins, "_entries", lambda group: {"fake": FakeEntry(plugin)})
    return plugin


def problems(text: str) -> list[str]:
    """What an operator is told about ``text``; empty when it is right."""
    try:
        from_document(parse(text, "switch.yaml"))
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


def test_a_right_file_becomes_typed_settings(fake: FakePlugin, tmp_path: Path) -> None:
    """Own sections and plugins' settings come back as structs; the version is the content's."""
    path = tmp_path / "switch.yaml"
    path.write_text(GOOD, encoding="utf-8")

    settings = load(path)

    assert settings.hospitals[0].name == "第一医院"
    assert settings.channels[0].settings == FakeConfig(timeout_ms=60_000)
    assert settings.journal.dsn == "env:HOUSE_DSN"
    names = [(group, name) for group, name, _, _ in plugin_settings(settings)]
    assert names == [
        (Group.HSM, "hsm"),
        (Group.HIS, "h1"),
        (Group.CHANNELS, "bank-a"),
        (Group.FRONTS, "kiosks"),
    ]
    assert len(version_of(path)) == 12


OWN_LIMITS = re.findall(r"^  (\w+_(?:ms|limit|batch|flight)): ", GOOD, re.MULTILINE)


@pytest.mark.parametrize("key", OWN_LIMITS)
def test_a_missing_timeout_or_limit_is_named(fake: FakePlugin, key: str) -> None:
    """No timeout and no limit has a default: without its line the file is refused, by its path."""
    text = re.sub(rf"^  {key}: .*\n", "", GOOD, count=1, flags=re.MULTILINE)

    [told] = problems(text)
    assert told.startswith("switch.yaml:")
    assert told.endswith(f".{key}: missing")


def test_missing_timeout_of_a_bank_by_file_line_and_path(fake: FakePlugin) -> None:
    """The example of the handbook: which file, which line, which key."""
    text = GOOD.replace("    timeout_ms: 60000", "    terminal_timeout_ms: 60000")

    assert problems(text) == ["switch.yaml:26: channels[bank-a].settings.timeout_ms: missing"]


def test_first_mistake_of_every_section_in_one_run(fake: FakePlugin) -> None:
    """Three sections are wrong: three lines, in the order of the file, one for each."""
    text = (
        GOOD.replace("log_level: info", "log_level: loud\n  nme: x")
        .replace("batch_limit: 64", "batch_limit: 064")
        .replace("port: 9464", "port: 99999")
    )

    assert [told.split(": ")[1] for told in problems(text)] == [
        "node.log_level",
        "journal.batch_limit",
        "metrics.port",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("metrics:", "metric:", "metric: unknown (node, journal,"),
        ("  plugin: fake\n  settings: {timeout_ms: 500}", "  plugin: thales\n  settings: {}",
         "hsm.plugin: no plugin 'thales' in yyt.hsm (fake)"),
        ("hospital: h1,", "hospital: h2,", "routes[0].hospital: no hospital 'h2'"),
        ("channel: bank-a}", "channel: b}", "routes[0].channel: no channel 'b'"),
        ("channel: bank-a}", "channel: bank-a, pin: pass_through}",
         "routes[0].pin: bank-a has no terminal with a kiosk of its own in 'outpatient'"),
        ("outpatient_bill", "tea", "routes[0].business: no business 'tea' (outpatient_bill"),
        ("bank_card", "shells", "routes[0].medium: outpatient_bill is not paid by 'shells'"),
        ("- name: bank-a", "- name: h1", "channels[h1]: the name 'h1' is taken already"),
        ("- name: kiosks", "- name: bank-a", "fronts[bank-a]: the name 'bank-a' is taken already"),
        ("terminal_timeout_ms: 90000", "terminal_timeout_ms: 80000",
         "fronts[kiosks].settings.terminal_timeout_ms: 80000 is shorter than the exchanges of one "
         "payment may take together: 80001 (bank-a 60000 + h1 20000 + kiosks 1)"),
        ("answer_wait_ms: 50000", "answer_wait_ms: 90000",
         "fronts[kiosks].settings.terminal_timeout_ms: 90000: limits.answer_wait_ms must be "
         "shorter, an answer later is not told"),
        ("dsn: env:HOUSE_DSN", "dsn: host=db password=hunter2",
         "journal.dsn: journal dsn: a password must not stand in the configuration (I12)"),
        ("lease_renew_ms: 5000", "lease_renew_ms: 5001",
         "journal: journal: lease_renew_ms must be at most a third of lease_ms"),
        ("timeout_ms: 60000", "timeout_ms: -1", "channels[bank-a].settings.timeout_ms: must not"),
        ("host: 127.0.0.1", "host: 0.0.0.0", "metrics: host is not loopback and allow_remote is"),
    ],
)  # fmt: skip
def test_what_does_not_fit_together(fake: FakePlugin, old: str, new: str, expected: str) -> None:
    """Names, capabilities' owners, terminals' patience, open passwords, exposed metrics."""
    assert old in GOOD
    told = problems(GOOD.replace(old, new))

    assert any(expected in line for line in told), told
    assert "hunter2" not in "".join(told)


def test_route_to_a_channel_that_cannot_is_refused(fake: FakePlugin) -> None:
    """A plugin that declares no purchase is never asked for one."""
    fake.capabilities = frozenset({"hold", "confirm"})

    [told] = problems(GOOD)
    assert told.endswith("outpatient_bill: plugin 'fake' cannot do purchase")


@pytest.mark.parametrize(
    ("attribute", "value", "expected"),
    [
        ("api_version", 2, "API version is not 1"),
        ("name", "other", "calls itself 'other'"),
        ("config_schema", dict, "config_schema is not a msgspec Struct"),
        ("build", None, "build is not callable"),
    ],
)
def test_a_plugin_that_does_not_fit_is_refused(
    fake: FakePlugin, attribute: str, value: object, expected: str
) -> None:
    """The loader refuses at start what would fail with money in hand."""
    setattr(fake, attribute, value)

    with pytest.raises(PluginError, match=expected):
        plugins.load(Group.CHANNELS)


@pytest.mark.parametrize("group", list(Group))
def test_every_installed_plugin_fits(group: Group) -> None:
    """The built-ins come through the same door and pass the same checks."""
    found = plugins.load(group)

    assert found, "a socket ships with a plugin that uses it"
    assert plugins.table(found)[0]["capabilities"]


def test_conf_check_tells_and_exits(
    fake: FakePlugin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 with a word when right, 2 with the lines when not; ``--json`` tells a program the same."""
    path = tmp_path / "switch.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert main(["conf", "check", str(path), "--lang", "en"]) == 0
    assert capsys.readouterr().out == f"{path}: configuration is right\n"

    path.write_text(GOOD.replace("port: 9464", "port: x"), encoding="utf-8")
    assert main(["conf", "check", str(path), "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["problems"][0]["path"] == "metrics.port"
    assert report["problems"][0]["line"] == GOOD.count("\n")


def test_docs_configuration_is_the_schema() -> None:
    """docs/configuration.md is what ``yyt conf schema`` prints."""
    from switch.settings.explain import markdown

    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert page == markdown(), "run: bin/yyt conf schema > docs/configuration.md"


@pytest.mark.parametrize("name", ["switch", "switch-doors"])
def test_example_configuration_is_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an operator copies passes the check as it stands."""
    monkeypatch.chdir(ROOT)

    assert main(["conf", "check", f"conf/{name}.example.yaml"]) == 0


@pytest.mark.parametrize(("front", "waits_ms"), [("counter", 30_000), ("bank-a-kiosks", 11_999)])
def test_a_door_whose_terminals_wait_too_short_is_refused(front: str, waits_ms: int) -> None:
    """Rule 12: a POS that reverses while the bank, or the hospital, may still answer."""
    text = (ROOT / "conf" / "switch-doors.example.yaml").read_text(encoding="utf-8")
    before, after = text.split(f"- name: {front}\n")
    after = after.replace("terminal_timeout_ms: 100000", f"terminal_timeout_ms: {waits_ms}", 1)

    with pytest.raises(SettingsError, match=rf"fronts\[{front}\].*{waits_ms} is shorter than"):
        from_document(parse(f"{before}- name: {front}\n{after}", "doors.yaml"))


DOORS = (ROOT / "conf" / "switch-doors.example.yaml").read_text(encoding="utf-8")
QUICK_BANK = (
    DOORS.replace("response_timeout_ms: 60000", "response_timeout_ms: 3000")
    .replace("queue_wait_ms: 5000", "queue_wait_ms: 500")
    .replace("answer_wait_ms: 90000", "answer_wait_ms: 3000")
    .replace("terminal_timeout_ms: 100000", "terminal_timeout_ms: 4500")
)
"""The doors with a bank that answers within 4.5 s, in two attempts if need be; the hospital's
confirm may take 2 s + 10 s."""


def test_a_bank_s_own_kiosks_wait_for_the_hospital() -> None:
    """Rule 12: ``bank_bill`` has no route, its only leg is the hospital's; the POS beside it, which
    asks the bank alone, may wait as short as that bank."""
    [told] = problems(QUICK_BANK)

    assert "fronts[bank-a-kiosks].settings.terminal_timeout_ms: 4500 is shorter than" in told
    assert told.endswith("12000 (h1 12000)")


def test_a_bank_s_own_kiosks_do_not_wait_for_another_bank() -> None:
    """As long as the confirm takes is enough, however slow the routes of others are."""
    before, kiosks = DOORS.split("- name: bank-a-kiosks\n")
    quick = kiosks.replace("terminal_timeout_ms: 100000", "terminal_timeout_ms: 12000").replace(
        "answer_wait_ms: 90000", "answer_wait_ms: 11000"
    )

    assert problems(f"{before}- name: bank-a-kiosks\n{quick}") == []


def test_a_bank_s_own_kiosk_at_no_hospital_is_refused() -> None:
    """Its payments would be booked nowhere."""
    before, kiosks = DOORS.split("- name: bank-a-kiosks\n")
    told = problems(
        before + "- name: bank-a-kiosks\n" + kiosks.replace("hospital: h1", "hospital: h9")
    )

    assert [line.split(": ", 1)[1] for line in told] == [
        "fronts[bank-a-kiosks].settings.terminals: no hospital 'h9'"
    ]


@pytest.mark.parametrize(
    ("key", "place", "field"),
    [
        ("key:bank-a-01234567", "channels[bank-a].settings.terminals[0]", "tmk"),
        ("key:pos-00001", "fronts[counter].settings.terminals[0]", "tmk"),
        ("key:bank-a-kiosks", "fronts[bank-a-kiosks].settings.terminals[0]", "tmk"),
        ("key:vault", "hsm.settings", "dek"),
    ],
)
def test_I12_a_key_of_a_wrong_form_is_named_and_not_shown(key: str, place: str, field: str) -> None:
    """Neither a name of the store nor a cryptogram: half a key that was pasted, above all."""
    half = "0123456789ABCDEFFEDCBA98"
    [told] = problems(DOORS.replace(key, half))

    assert f"{place}: {field}: must be key:NAME, or a cryptogram" in told
    assert half not in told


def test_conf_check_notes_files_of_tls_that_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Section, key, path and reason of each; not their content; the configuration stays right."""
    (tmp_path / "link.pem").write_text("what stands in it", encoding="utf-8")
    (tmp_path / "link.key").mkdir()
    text = DOORS.replace("/etc/yinyitong", str(tmp_path)).replace(
        "port: 9000}", f"port: 9000, tls: {{ca: {tmp_path}/none.pem, peer_name: bank-a}}}}"
    )
    text = text.replace("level: L1", f"level: L1\n    ca_file: {tmp_path}/his.pem")
    text = text.replace(
        "dek: key:vault",
        f"dek: key:vault\n    tls: {{ca: {tmp_path}/hsm.pem, certificate: {tmp_path}/link.pem, "
        f"key: {tmp_path}/link.pem, peer_name: hsm}}",
    )
    path = tmp_path / "switch.yaml"
    path.write_text(text, encoding="utf-8")

    assert main(["conf", "check", str(path), "--json", "--lang", "en"]) == 0
    report = json.loads(capsys.readouterr().out)
    note = "note: a file cannot be read here"
    assert report["ok"] is True
    assert report["notes"] == [
        f"{note}: hsm hsm: tls.ca: {tmp_path}/hsm.pem: No such file or directory",
        f"{note}: his h1: ca_file: {tmp_path}/his.pem: No such file or directory",
        f"{note}: channels bank-a: links[0].tls.ca: {tmp_path}/none.pem: No such file or directory",
        f"{note}: fronts bank-a-kiosks: listen.tls.ca: {tmp_path}/bank-a-ca.pem: "
        "No such file or directory",
        f"{note}: fronts bank-a-kiosks: listen.tls.key: {tmp_path}/link.key: Is a directory",
    ]


def test_every_timeout_and_limit_of_the_schema_is_required() -> None:
    """ASVS 13.2.6: the configuration demands them; nobody runs on a default that he never saw."""
    from switch.settings.convert import struct_fields

    def optional(schema: type[Struct]) -> list[str]:
        return [
            f"{schema.__module__}.{schema.__name__}.{key}"
            for key, field in struct_fields(schema).items()
            if key.endswith(("_ms", "_limit", "_max", "_bytes")) and not field.required
        ]

    schemas = [Settings, *(field.type for field in struct_fields(Settings).values())]
    installed = [plugins.find(group, name) for group in Group for name in plugins.names(group)]
    schemas += [plugin.config_schema for plugin in installed]
    found = [
        name
        for schema in schemas
        if isinstance(schema, type) and issubclass(schema, Struct)
        for name in optional(schema)
    ]
    assert found == []
