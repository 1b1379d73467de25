"""What the command plugin does on a host: commands, what they print, how they fail; files."""

import contextlib
from pathlib import Path
from typing import Any

import pytest

from tests.lab.plugins.bench import (
    Bench,
    CallError,
    Properties,
    file_asset,
    folder_archive,
    secret,
    text_asset,
)
from tests.lab.plugins.stage import Namespace, Sshd

pytestmark = pytest.mark.lab


def test_a_command_gets_its_stdin_and_gives_its_output_less_one_line_end(bench: Bench) -> None:
    inputs = bench.inputs(create="cat; echo; echo warned >&2", stdin=secret("line\n"))
    identity, outputs = bench.create(inputs)
    assert identity.startswith("name")
    assert outputs == {**inputs, "stdout": "line\n", "stderr": "warned"}  # the output of a secret is not a secret


def test_without_a_create_nothing_is_dialled(bench: Bench) -> None:
    _, outputs = bench.create(bench.inputs(bench.connection(host="192.0.2.1"), update="false", delete="false"))
    assert (outputs["stdout"], outputs["stderr"]) == ("", "")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("exit 7", 'Process exited with status 7: running "exit 7":\n'),
        ("kill -TERM $$", 'Process exited with status 143 from signal TERM: running "kill -TERM $$":\n'),
        ("kill -USR1 $$", 'Process exited with status 128 from signal USR1: running "kill -USR1 $$":\n'),
        (
            'echo "é \t" >&2; exit 1',
            'Process exited with status 1: running "echo \\"é \\t\\" >&2; exit 1":\né \t\n',
        ),
        (
            "kill -9 $PPID; sleep 9",
            'wait: remote command exited without exit status or exit signal: running "kill -9 $PPID; sleep 9":\n',
        ),
        ("exit 1 # \a\x01\x7f\u00a0\u200b\U0001f600\\", None),
    ],
)
def test_a_failure_tells_the_status_the_command_and_what_it_printed(
    bench: Bench, command: str, text: str | None
) -> None:
    if text is None:
        quoted = '"exit 1 # \\a\\x01\\x7f\\u00a0\\u200b\U0001f600\\\\"'
        text = f"Process exited with status 1: running {quoted}:\n"
    failure = bench.failure(command, logging="none")
    assert (failure.code, failure.text) == ("UNKNOWN", text)


def test_a_failure_holds_both_streams_whatever_is_logged(bench: Bench) -> None:
    shown = bench.failure("echo out; echo err >&2; exit 1", logging="none").text.splitlines()[1:]
    assert sorted(shown) == ["err", "out"]


def test_a_long_failure_arrives_whole(bench: Bench) -> None:
    failure = bench.failure("seq 20000; exit 1", logging="none")
    assert failure.text.endswith("\n".join(str(number) for number in range(1, 20001)) + "\n")


def test_output_that_is_not_utf_8_loses_the_result(bench: Bench) -> None:
    failure = bench.failure("printf 'a\\377b'")
    assert failure.code == "INTERNAL"
    assert "invalid UTF-8" in failure.text


def test_stdin_that_does_not_fit_the_window_must_be_read(bench: Bench) -> None:
    large = "x" * 3_000_000
    assert bench.run("wc -c", stdin=large)["stdout"] == "3000000"
    assert bench.failure("true", stdin=large).text == 'EOF: running "true":\n'


def test_stdin_that_fits_the_window_need_not_be_read(bench: Bench) -> None:
    assert bench.run("echo done", stdin="x" * 100_000)["stdout"] == "done"


def test_a_child_that_keeps_stdout_open_is_waited_for(bench: Bench) -> None:
    assert bench.run("(sleep 1; echo late) & echo early")["stdout"] == "early\nlate"


@pytest.mark.parametrize(
    ("logging", "lines"),
    [
        (None, {"out", "err", "end"}),
        ("stdoutAndStderr", {"out", "err", "end"}),
        ("stdout", {"out", "end"}),
        ("stderr", {"err"}),
        ("none", set()),
        ("loud", set()),
    ],
)
def test_the_logging_mode_chooses_what_is_streamed_as_status(bench: Bench, logging: Any, lines: set[str]) -> None:
    inputs = {} if logging is None else {"logging": logging}
    outputs = bench.run("echo out; echo err >&2; sleep 0.2; printf 'end\\r\\n'", **inputs)
    assert (outputs["stdout"], outputs["stderr"]) == ("out\nend\r", "err")
    assert all(log[:2] == ("INFO", True) for log in bench.plugin.engine.logs)
    assert {text for _, _, text in bench.plugin.engine.logs} == lines


LONG = "head -c {} /dev/zero | tr '\\0' a; echo"


def test_a_line_below_64_kib_is_streamed(bench: Bench) -> None:
    bench.run(LONG.format(65535))
    assert [len(text) for _, _, text in bench.plugin.engine.logs] == [65535]


def test_a_line_of_64_kib_cannot_be_streamed(bench: Bench) -> None:
    with pytest.raises(CallError) as error:
        bench.create(bench.inputs(create=LONG.format(65536)), timeout=5)
    if bench.released:
        assert error.value.code == "DEADLINE_EXCEEDED"  # it hangs
    else:
        assert "set logging to none" in error.value.text
    assert len(bench.run(LONG.format(65536), logging="none")["stdout"]) == 65536


def test_a_server_that_grants_no_session_fails_the_command(bench: Bench, namespace: Namespace) -> None:
    with contextlib.closing(Sshd(namespace, bench.directory, 2204, "first", "MaxSessions 0")):
        failure = bench.failure("true", bench.connection(port=2204))
    assert (failure.code, failure.text.partition(":")[0]) == ("UNKNOWN", "ssh")


def test_variables_are_set_where_the_server_takes_them(bench: Bench) -> None:
    assert bench.run("echo $COLOUR", environment={"COLOUR": "dark blue"})["stdout"] == "dark blue"


def test_a_variable_that_the_server_does_not_take_fails_the_command(bench: Bench) -> None:
    failure = bench.failure("true", environment={"SHAPE": "round"})
    assert failure.text == 'could not set environment variable "SHAPE": ssh: setenv failed'
    (severity, status, text), *_ = bench.plugin.engine.logs
    assert (severity, status) == ("ERROR", False)
    assert text.startswith("Unable to set 'SHAPE'. This only works if your SSH server is configured to accept\n\tthese")


PREVIOUS = "echo ${PULUMI_COMMAND_STDOUT-none} ${PULUMI_COMMAND_STDERR-none}"


def test_the_previous_output_is_in_the_environment_unless_switched_off(bench: Bench) -> None:
    old = bench.inputs(create="x")
    state = {**old, "stdout": "out", "stderr": "err"}
    assert bench.update(state, bench.inputs(create=PREVIOUS))["stdout"] == "out err"
    off = bench.inputs(create=PREVIOUS, addPreviousOutputInEnv=False)
    assert bench.update(state, off)["stdout"] == "none none"


def test_a_server_that_does_not_take_the_previous_output_brings_warnings_only(bench: Bench) -> None:
    connection = bench.connection(port=bench.refusing.port, hostKey=bench.refusing.host_key)
    state = {**bench.inputs(create="x"), "stdout": "out", "stderr": "err"}
    assert bench.update(state, bench.inputs(connection, create=PREVIOUS))["stdout"] == "none none"
    warnings = [text for severity, status, text in bench.plugin.engine.logs if severity == "WARNING" and not status]
    assert [text.split("'")[1] for text in warnings] == ["PULUMI_COMMAND_STDOUT", "PULUMI_COMMAND_STDERR"]


@pytest.mark.parametrize(
    ("inputs", "stdout"),
    [
        ({"create": "echo created"}, "created"),
        ({"create": "echo created", "update": "echo updated"}, "updated"),
        ({"delete": "echo deleted"}, "old"),
    ],
)
def test_an_update_runs_update_or_else_create_or_else_nothing(bench: Bench, inputs: Properties, stdout: str) -> None:
    state = {**bench.inputs(create="x"), "stdout": "old", "stderr": ""}
    outputs = bench.update(state, bench.inputs(**inputs))
    assert outputs == {**bench.inputs(**inputs), "stdout": stdout, "stderr": ""}


def test_delete_runs_over_the_connection_in_the_state(bench: Bench, tmp_path: Path) -> None:
    mark = tmp_path / "deleted"
    bench.delete({**bench.inputs(create="x"), "stdout": "", "stderr": ""})
    bench.delete({**bench.inputs(delete=f"echo $PULUMI_COMMAND_STDOUT > {mark}"), "stdout": "was", "stderr": ""})
    assert mark.read_text() == "was\n"


def test_a_failing_delete_fails(bench: Bench) -> None:
    with pytest.raises(CallError, match="Process exited with status 4"):
        bench.delete({**bench.inputs(delete="exit 4"), "stdout": "", "stderr": ""})


def copy(bench: Bench, source: Properties, path: Path | str) -> Properties:
    identity, outputs = bench.create(bench.inputs(source=source, remotePath=str(path)), "CopyToRemote")
    assert len(identity) == 8
    return outputs


def test_a_text_is_written_in_place_with_the_servers_mode(bench: Bench, tmp_path: Path) -> None:
    target = tmp_path / "made" / "for" / "it"
    outputs = copy(bench, secret(text_asset("a longer text", "one")), target)
    assert outputs["source"] == secret(text_asset("a longer text", "one"))
    inode = target.stat().st_ino
    copy(bench, text_asset("short", "two"), target)
    assert (target.read_text(), target.stat().st_mode & 0o777, target.stat().st_ino) == ("short", 0o644, inode)


def test_a_text_does_not_go_into_a_folder_and_a_file_does(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(CallError, match="is a directory; when using a text asset, remotePath must be a file path"):
        copy(bench, text_asset("a", "one"), tmp_path)
    copy(bench, file_asset(bench.directory / "first.pub", "one"), tmp_path)
    assert (tmp_path / "first.pub").read_text().strip() == bench.taking.host_key


def test_a_folder_is_copied_below_the_path_or_as_its_content(bench: Bench, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "inner" / "file").write_text("content")
    copy(bench, folder_archive(str(source), "one"), tmp_path / "first")
    copy(bench, folder_archive(f"{source}/", "one"), tmp_path / "second")
    assert (tmp_path / "first" / "source" / "inner" / "file").read_text() == "content"
    assert (tmp_path / "second" / "inner" / "file").read_text() == "content"


def test_a_source_that_is_gone_fails(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(CallError, match="no such file or directory"):
        copy(bench, file_asset(tmp_path / "gone", "one"), tmp_path / "target")


def test_a_copy_is_made_again_for_another_hash_or_path_but_not_for_another_host(bench: Bench, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    state = bench.inputs(source=text_asset("a", "one"), remotePath=str(first))
    elsewhere = bench.connection(port=bench.refusing.port, hostKey=bench.refusing.host_key)
    bench.update(state, {**state, "connection": secret(elsewhere)}, "CopyToRemote")
    assert not first.exists()
    bench.update(state, {**state, "source": text_asset("b", "two")}, "CopyToRemote")
    assert first.read_text() == "b"
    bench.update(state, {**state, "remotePath": str(second)}, "CopyToRemote")
    assert second.read_text() == "a"


def test_deleting_a_copy_leaves_the_file(bench: Bench, tmp_path: Path) -> None:
    state = copy(bench, text_asset("a", "one"), tmp_path / "file")
    bench.delete(state, "CopyToRemote")
    assert (tmp_path / "file").read_text() == "a"
