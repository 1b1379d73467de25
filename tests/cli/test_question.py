"""`meshctl explain`: what it says to a question that has no answer."""

import json
from pathlib import Path

import pytest

from cli.main import run
from tests.cli.prod import FILE, STACK


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ams.lna", "nyc.virbr0"], "'ams.lna' is no site or network; did you mean 'ams.lan'?"),
        (["ams.lan", "nyc.virbr"], "'nyc.virbr' is no site or network; did you mean 'nyc.virbr0'?"),
        (["ams.lan", "both"], "'both' stands for several; name one site or network of them"),
        (["ams.*", "nyc"], "'ams.*' stands for several; name one site or network of them"),
        (["ams.lan", "ams"], "ams.lan and ams are at one site; what passes there is not the mesh's to say"),
        (["ams.lan", "nyc", "tpc/443"], "'tpc/443' is no service; did you mean 'tcp/443'?"),
        (["ams.lan", "nyc", "tcp443"], "'tcp443' is no service; did you mean 'tcp/443'?"),
        (["ams.lan", "nyc", "tcp 443"], "'tcp 443' is no service; did you mean 'tcp/443'?"),
        (["ams.lan", "nyc", "UDP:53-54"], "'UDP:53-54' is no service; did you mean 'udp/53-54'?"),
        (["10.20.0.5", "nyc"], "10.20.0.5 lies in ams.lan; ask for that"),
        (["10.20.0.0/25", "nyc"], "10.20.0.0/25 lies in ams.lan; ask for that"),
        (["ams.lan", "10.209.0.7"], "10.209.0.7 lies in nyc.old; ask for that"),
        (
            ["ams.lan", "192.168.9.7"],
            "192.168.9.7 lies in nyc.old (there alone: others know it by 10.209.0.0/24); ask for that",
        ),
        (["ams.lan", "10.99.0.1"], "10.99.0.1 is the tunnel address of nyc; ask for that"),
        (["fd26::1", "nyc"], "fd26::1 lies in ams.six; ask for that"),
        (
            ["10.77.0.1", "nyc"],
            "10.77.0.1 lies in no network and is no site's;"
            " known here: ams, ams.lan, ams.six, nyc, nyc.old, nyc.virbr0",
        ),
        (["ams.lan", "nyc", "443"], "'443' has no protocol; write tcp/443 or udp/443"),
        (["ams.lan", "nyc", "tcp/0"], "'tcp/0': '0' is no port; it goes from 1 to 65535"),
        (["ams.lan", "nyc", "tcp/90-80"], "'tcp/90-80' is a range that ends before it begins; write tcp/80-90"),
        (["ams.lan", "nyc", "--stack", "prd"], "there is no Pulumi.prd.yaml in {directory}; stacks with a file: prod"),
        (["ams.lan", "nyc", "-C", "nowhere"], "nowhere is no directory"),
    ],
)
def test_a_question_about_what_is_not_there_says_what_is(
    arguments: list[str], message: str, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = message.format(directory=directory)
    assert run(["explain", *arguments]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"meshctl: {message}\n")
    assert run(["explain", *arguments, "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": message}


def test_all_that_is_wrong_with_a_question_is_told_at_once(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "10.20.0.5", "nyx", "tcp443"]) == 2
    faults = [
        "10.20.0.5 lies in ams.lan; ask for that",
        "'nyx' is no site or network; did you mean 'nyc'?",
        "'tcp443' is no service; did you mean 'tcp/443'?",
    ]
    captured = capsys.readouterr()
    assert (captured.out, captured.err.splitlines()) == ("", [f"meshctl: {fault}" for fault in faults])
    assert run(["explain", "10.20.0.5", "nyx", "tcp443", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"error": "\n".join(faults)}
    assert run(["explain", "ams", "ams.lan", "tcp443"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert run(["explain", "nyx", "nyx"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_address_of_two_networks_names_both(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lan = "{cidr: 10.20.0.0/24, interface: eth1, return_route: manual}"
    same = "{cidr: 192.168.9.0/24, interface: eth1, return_route: manual, advertise_as: 10.210.0.0/24}"
    (directory / FILE).write_text(STACK.replace(lan, same))
    assert run(["explain", "192.168.9.7", "nyc"]) == 2
    assert capsys.readouterr().err == (
        "meshctl: 192.168.9.7 lies in ams.lan (there alone: others know it by 10.210.0.0/24)"
        " and lies in nyc.old (there alone: others know it by 10.209.0.0/24); ask for one of them\n"
    )


def test_of_several_stack_files_one_has_to_be_named(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "Pulumi.stage.yaml").write_text(STACK)
    question = ["explain", "ams.lan", "nyc.virbr0", "tcp/443"]
    assert run(question) == 2
    assert capsys.readouterr().err == "meshctl: there are several stack files, of prod, stage; name one by --stack\n"
    assert run([*question, "--stack", "stage"]) == 0


def test_a_stack_file_with_faults_gives_no_answer_but_its_faults(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "Pulumi.prod.yaml").write_text(STACK.replace("10.99.0.2", "10.99.0.1"))
    assert run(["explain", "ams.lan", "nyc.virbr0"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    fault = "sites.ams.address: 10.99.0.1 is taken by sites.nyc; the next free address is 10.99.0.2"
    assert captured.err.splitlines() == [
        f"Pulumi.prod.yaml:11: fault: {fault}",
        "Pulumi.prod.yaml: 1 fault",
        "meshctl: there is no answer until these faults are mended",
    ]
    assert run(["explain", "ams.lan", "nyc.virbr0", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["error"] == "the stack file has faults"
    assert [fault["line"] for fault in found["faults"]] == [11]


@pytest.mark.parametrize("arguments", [["explain", "ams.lan"], ["explain"], ["explain", "a", "b", "c", "d"]])
def test_a_wrong_command_line_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Try 'meshctl --help'." in capsys.readouterr().err


def test_the_help_tells_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit status: 0 it passes, 1 it does not or only in part, 2 there is no answer." in text
