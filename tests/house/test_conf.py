"""conf/: what an operator copies names only commands, options, metrics and rules that exist."""

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from switch.observe import metrics

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "conf" / "systemd").glob("*.service"))
OURS = [path for path in UNITS if path.stem != "yyt-kiosk-browser"]
TASKS = sorted((ROOT / "conf" / "windows").glob("*.xml"))
TASK = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
INSTALLED_ON_WINDOWS = "C:\\yinyitong\\"
SUFFIXES = ("", "_bucket", "_sum", "_count")


def unit(path: Path) -> configparser.ConfigParser:
    """systemd's syntax is near enough to an INI file; repeated keys keep the last value."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text(encoding="utf-8").replace("\\\n", " "))
    return parser


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_unit_starts_a_command_that_exists(path: Path) -> None:
    """Every option in ExecStart is one that the command's help knows."""
    words = shlex.split(unit(path)["Service"]["ExecStart"])
    verbs = [word for word in words[1:3] if not word.startswith("-")]
    options = [word for word in words if word.startswith("--")]

    shown = subprocess.run(
        [sys.executable, "-m", "switch.cli", *verbs, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout

    assert words[0] == "/opt/yinyitong/.venv/bin/yyt"
    assert [option for option in options if option not in shown] == []


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_I12_unit_is_hardened(path: Path) -> None:
    """No new privileges, a read-only system, and no core dump that would hold card data."""
    service = unit(path)["Service"]

    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["LimitCORE"] == "0"
    assert service["Restart"] == "always"
    assert service["User"] != "root"


@pytest.mark.parametrize("path", TASKS, ids=lambda path: path.stem)
def test_windows_task_is_one(path: Path) -> None:
    """Well-formed; started again every minute, never ended for its length, never twice; what it
    names of the installation exists."""
    task = ElementTree.fromstring(path.read_text(encoding="utf-8").partition("?>")[2])
    settings = {one.tag.removeprefix(TASK): one.text for one in task.find(f"{TASK}Settings") or ()}
    (arguments,) = [one.text or "" for one in task.iter(f"{TASK}Arguments")]
    named = re.findall(re.escape(INSTALLED_ON_WINDOWS) + r"(\S+)", arguments)

    assert [one.text for one in task.iter(f"{TASK}Interval")] == ["PT1M"]
    assert settings["MultipleInstancesPolicy"] == "IgnoreNew"
    assert settings["ExecutionTimeLimit"] == "PT0S"
    assert [name for name in named if not (ROOT / name.replace("\\", "/")).is_file()] == []


def test_windows_script_runs_the_agent() -> None:
    """``yyt agent --config``, as the command takes it."""
    script = (ROOT / "conf" / "windows" / "yyt-agent.ps1").read_text(encoding="utf-8")

    assert "Scripts\\yyt.exe" in script
    assert "& $program agent --config " in script


def rules() -> list[dict[str, dict[str, str]]]:
    """All alert rules."""
    text = (ROOT / "conf" / "prometheus" / "yyt-alerts.yaml").read_text(encoding="utf-8")
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_alerts_watch_metrics_that_exist() -> None:
    """An alert over a misspelt metric never fires, and nobody would notice."""
    known = {name + suffix for name in metrics.all_metrics() for suffix in SUFFIXES}
    used = {name for rule in rules() for name in re.findall(r"yyt_\w+", str(rule["expr"]))}

    assert used - known == set()


def test_alerts_keep_apart_what_they_watch() -> None:
    """A rule's own label overwrites the metric's: two series that differ in it alone would be one
    alert twice, and then Prometheus evaluates none of the rule."""
    known = metrics.all_metrics()
    for rule in rules():
        expr = str(rule["expr"])
        replaced = re.findall(r'"\$1", "(\w+)"', expr)
        for name, selected in re.findall(r"(yyt_\w+)(\{[^}]*\})?", expr):
            labels = known[name]._labelnames if name in known else ()
            fixed = [label for label in labels if f'{label}=""' in selected]
            assert set(labels) & set(rule["labels"]) <= {*replaced, *fixed}, rule["alert"]


def test_an_alert_sees_the_first_alarm_of_its_kind() -> None:
    """A series of this counter begins at 1, which is no increase."""
    watching = [str(rule["expr"]) for rule in rules() if "yyt_alarms_total" in str(rule["expr"])]

    assert len(watching) == 2
    assert [expr for expr in watching if "offset" not in expr or "unless" not in expr] == []


def test_alerts_name_the_invariant_and_the_next_step() -> None:
    """At 3 a.m. an alarm says what is at stake and what to do."""
    for rule in rules():
        assert re.fullmatch(r"I(1[0-6]|[1-9])", rule["labels"]["invariant"])
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["next_step"]
