"""`meshctl check`: what it prints, where it looks, and its exit statuses."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import run
from tests.mesh.config.configs import HOST_KEY, WIREGUARD_KEY

ROOT = Path(__file__).parents[2]

GOOD = f"""\
config:
  wireguard-mesh:mesh:
    tunnel: 10.99.0.0/24
  wireguard-mesh:sites:
    nyc:
      address: 10.99.0.1
      colo:
        host: nyc.mesh.net
        host_key: {HOST_KEY}
"""
BAD = GOOD.replace("10.99.0.1\n", f"10.98.0.1\n      listen_port: 022\n      private_key: {WIREGUARD_KEY}\n")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: wireguard-mesh\nruntime: python\n")
    return tmp_path


def test_a_good_stack_file_is_said_to_be_good(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "Pulumi.prod.yaml").write_text(GOOD)
    assert run(["check", "prod"]) == 0
    assert capsys.readouterr().out == "Pulumi.prod.yaml: 1 site, 0 grants, no faults\n"


def test_faults_are_listed_by_line_with_status_1(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "Pulumi.prod.yaml").write_text(BAD)
    assert run(["check", "prod"]) == 1
    assert capsys.readouterr().out == (
        "Pulumi.prod.yaml:6: fault: sites.nyc.address: 10.98.0.1 lies outside mesh.tunnel (10.99.0.0/24);"
        " the next free address is 10.99.0.1\n"
        "Pulumi.prod.yaml:7: fault: sites.nyc.listen_port: YAML reads '022' as another number; write it in"
        " decimal, or put"
        " it in quotes\n"
        "Pulumi.prod.yaml:8: fault: sites.nyc.private_key: is in plain text; make a new key, since this one may"
        " have been"
        " seen, and encrypt it: pulumi config set --path --secret 'wireguard-mesh:sites.nyc.private_key'\n"
        "Pulumi.prod.yaml: 3 faults\n"
    )


def test_a_value_that_yaml_spoils_is_reported_once(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "Pulumi.prod.yaml").write_text(GOOD.replace("10.99.0.1", "0x0A630001"))
    assert run(["check"]) == 1
    assert capsys.readouterr().out == (
        "Pulumi.prod.yaml:6: fault: sites.nyc.address: YAML reads '0x0A630001' as another number; write it in decimal,"
        " or put it in quotes\n"
        "Pulumi.prod.yaml: 1 fault\n"
    )


def test_without_a_name_every_stack_file_is_checked(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "Pulumi.a.yaml").write_text(GOOD)
    (directory / "Pulumi.b.yaml").write_text(GOOD.replace("10.99.0.1", "10.98.0.1"))
    assert run(["check"]) == 1
    out = capsys.readouterr().out
    assert "Pulumi.a.yaml: 1 site, 0 grants, no faults" in out
    assert "Pulumi.b.yaml: 1 fault\n" in out


def test_a_full_stack_name_finds_its_file(directory: Path) -> None:
    (directory / "Pulumi.prod.yaml").write_text(GOOD)
    assert run(["check", "organization/wireguard-mesh/prod"]) == 0


def test_a_missing_stack_file_names_those_that_exist(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "Pulumi.prod.yaml").write_text(GOOD)
    (directory / "Pulumi.dev.yaml").write_text(GOOD)
    assert run(["check", "prd"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"meshctl: there is no Pulumi.prd.yaml in {directory}; stacks with a file: dev, prod\n"


@pytest.mark.parametrize("name", ["Pulumi.dev.yaml", "./Pulumi.dev.yaml", "dev.yaml"])
def test_a_files_name_in_place_of_the_stacks_is_told_the_stacks(
    name: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "Pulumi.dev.yaml").write_text(GOOD)
    assert run(["check", name]) == 2
    assert capsys.readouterr().err == f"meshctl: '{name.removeprefix('./')}' is a file; name its stack, 'dev'\n"
    assert run(["check", "Pulumi.prd.yaml"]) == 2
    assert capsys.readouterr().err.endswith("; stacks with a file: dev\n")


def test_a_directory_without_stack_files_is_said_to_be_so(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check"]) == 2
    assert "there is no stack file, Pulumi.<stack>.yaml, in " in capsys.readouterr().err
    assert run(["check", "-C", "nowhere"]) == 2
    assert capsys.readouterr().err == "meshctl: nowhere is no directory\n"


@pytest.fixture
def closed(directory: Path) -> Iterator[None]:
    """A directory that nobody may read but root, who the test is not meanwhile."""
    (directory / "closed/deeper").mkdir(parents=True)
    (directory / "closed").chmod(0)
    user = os.geteuid()
    os.seteuid(65534 if user == 0 else user)
    yield
    os.seteuid(user)
    (directory / "closed").chmod(0o700)


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("place", ["closed", "closed/deeper"])
def test_a_directory_that_may_not_be_read_is_said_to_be_so(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "-C", place]) == 2
    assert capsys.readouterr().err == f"meshctl: {place} cannot be read: Permission denied\n"


@pytest.mark.parametrize("option", ["-C", "--directory"])
def test_another_directory_can_be_named(option: str, directory: Path) -> None:
    (directory / "deeper").mkdir()
    (directory / "deeper/Pulumi.prod.yaml").write_text(GOOD)
    assert run(["check", "prod"]) == 2
    assert run(["check", "prod", option, "deeper"]) == 0


def test_json_has_the_same_faults_for_programs(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "Pulumi.prod.yaml").write_text(GOOD.replace("10.99.0.1", "10.98.0.1"))
    assert run(["check", "--json"]) == 1
    message = "10.98.0.1 lies outside mesh.tunnel (10.99.0.0/24); the next free address is 10.99.0.1"
    assert json.loads(capsys.readouterr().out) == {
        "stacks": [
            {
                "stack": "prod",
                "file": "Pulumi.prod.yaml",
                "faults": [{"line": 6, "place": "sites.nyc.address", "message": message}],
                "warnings": [],
                "notes": [],
            }
        ]
    }
    assert run(["check", "--json", "dev"]) == 2
    assert json.loads(capsys.readouterr().out)["error"].endswith("stacks with a file: prod")


def test_a_grant_that_another_one_contains_is_a_warning_with_its_line_and_no_fault(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ams = GOOD.partition("sites:\n")[2].replace("nyc", "ams").replace("10.99.0.1", "10.99.0.2")
    grants = "  wireguard-mesh:access:\n    - {from: ams, to: nyc, ports: tcp/22}\n    - {from: ams, to: nyc}\n"
    (directory / "Pulumi.prod.yaml").write_text(GOOD + ams + grants)
    assert run(["check", "prod"]) == 0
    assert capsys.readouterr().out == (
        "Pulumi.prod.yaml:16: warning: access[0]: is contained in access[1]; leave it out\n"
        "Pulumi.prod.yaml: 2 sites, 2 grants, no faults, 1 warning\n"
    )
    assert run(["check", "prod", "--json"]) == 0
    (verdict,) = json.loads(capsys.readouterr().out)["stacks"]
    assert verdict["faults"] == []
    assert verdict["warnings"] == [
        {"line": 16, "place": "access[0]", "message": "is contained in access[1]; leave it out"}
    ]


def test_an_assertion_that_does_not_hold_is_a_fault_with_its_line(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ams = GOOD.partition("sites:\n")[2].replace("nyc", "ams").replace("10.99.0.1", "10.99.0.2")
    rules = (
        "  wireguard-mesh:access:\n    - {from: ams, to: nyc}\n"
        "  wireguard-mesh:assert:\n    - {from: ams, to: nyc, ports: tcp/22, expect: deny}\n"
    )
    (directory / "Pulumi.prod.yaml").write_text(GOOD + ams + rules)
    assert run(["check", "prod"]) == 1
    assert capsys.readouterr().out == (
        "Pulumi.prod.yaml:18: fault: assert[0]: ams may open tcp/22 to nyc, by access[0] (from ams to nyc, everything);"
        " take it out of that grant, or change the assertion\n"
        "Pulumi.prod.yaml: 1 fault\n"
    )


@pytest.mark.parametrize("content", [b"\xff\xfe", b"config: [", b"config: {}", b"\x00"])
def test_a_file_that_cannot_be_read_is_a_fault_without_traceback(
    content: bytes, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "Pulumi.prod.yaml").write_bytes(content)
    assert run(["check", "prod"]) == 1
    out = capsys.readouterr().out
    assert "Pulumi.prod.yaml" in out
    assert "Traceback" not in out


def test_a_stack_file_that_is_a_directory_is_a_fault(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "Pulumi.prod.yaml").mkdir()
    assert run(["check", "prod"]) == 1
    assert "cannot be read: Is a directory" in capsys.readouterr().out


def test_the_sample_has_no_faults_and_says_that_it_is_for_the_lab(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "dev", "-C", str(ROOT)]) == 0
    *notes, verdict = capsys.readouterr().out.splitlines()
    assert len(notes) == 3
    assert all((": note: sites." in note or ": note: operators" in note) and "is an example" in note for note in notes)
    assert verdict == "Pulumi.dev.yaml: 4 sites, 4 grants, no faults; the notes are faults for hosts, not for the lab"


def test_an_example_host_is_a_fault_in_every_stack_but_the_sample(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    example = GOOD.replace("nyc.mesh.net", "203.0.113.10")
    for stack in ("dev", "prod"):
        (directory / f"Pulumi.{stack}.yaml").write_text(example)
    message = "sites.nyc.colo.host: 203.0.113.10 is an example, kept for documentation; give the host's own address"
    assert run(["check", "prod"]) == 1
    assert capsys.readouterr().out == f"Pulumi.prod.yaml:8: fault: {message}\nPulumi.prod.yaml: 1 fault\n"
    assert run(["check", "organization/wireguard-mesh/dev"]) == 0
    assert f"Pulumi.dev.yaml:8: note: {message}\n" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["chek"], ["check", "--jsn"], ["check", "a", "b"], ["check", "-C"]])
def test_a_wrong_command_line_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("meshctl: ")
    assert "Try 'meshctl --help'." in captured.err


@pytest.mark.parametrize("arguments", [[], ["--help"], ["check", "--help"]])
def test_help_is_there_and_no_fault(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert "check" in capsys.readouterr().out


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert f'version = "{capsys.readouterr().out.strip()}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}, {"GITHUB_ACTIONS": "true"}])
def test_there_are_no_colours_where_there_is_no_terminal(variables: dict[str, str], directory: Path) -> None:
    (directory / "Pulumi.prod.yaml").write_text(BAD)
    for arguments in (["check"], ["check", "nothing"], ["--help"], ["chek"]):
        done = subprocess.run(
            [sys.executable, "-m", "cli", *arguments, *(["-C", str(directory)] if "check" in arguments else [])],
            cwd=ROOT,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout + done.stderr
        assert not re.search(r"\x1b", done.stdout + done.stderr)
