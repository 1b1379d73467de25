"""The clouds' socket: answers, refusals, many callers at once, and callers without a lab."""

import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from lab.clouds.api import VARIABLE, ApiError, Server, call
from lab.clouds.pool import Pool
from lab.namespaces import LabError


def handle(cloud: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
    match action:
        case "Refuse":
            raise ApiError("InvalidVpcID.NotFound", f"The vpc ID '{arguments['id']}' does not exist")
        case "Break":
            raise KeyError("groups")
    return {"cloud": cloud, "action": action, **arguments}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    place = tmp_path / "clouds.sock"
    monkeypatch.setenv(VARIABLE, str(place))
    with Server(place, handle):
        yield place


def test_a_call_gets_its_answer(path: Path) -> None:
    assert call("aws", "RunInstances", user_data="a\nb", tags=["ä"]) == {
        "cloud": "aws",
        "action": "RunInstances",
        "user_data": "a\nb",
        "tags": ["ä"],
    }
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_refusal_keeps_its_code_and_words(path: Path) -> None:
    with pytest.raises(ApiError, match=r"^InvalidVpcID\.NotFound: The vpc ID 'vpc-9' does not exist$") as refused:
        call("aws", "Refuse", id="vpc-9")
    assert (refused.value.code, refused.value.message) == ("InvalidVpcID.NotFound", "The vpc ID 'vpc-9' does not exist")


def test_a_fault_of_the_lab_itself_is_told_and_the_next_call_is_answered(path: Path) -> None:
    with pytest.raises(ApiError, match="InternalError: KeyError: 'groups'"):
        call("aws", "Break")
    assert call("digitalocean", "Read") == {"cloud": "digitalocean", "action": "Read"}


def test_calls_at_once_are_done_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "held.sock"))
    first, another, go_on = threading.Event(), threading.Event(), threading.Event()
    seen: list[str] = []

    def hold(_cloud: str, action: str, _arguments: dict[str, Any]) -> dict[str, Any]:
        (another if first.is_set() else first).set()
        seen.append(action)
        assert go_on.wait(10)
        seen.append(action)
        return {"action": action}

    names = [f"Call{number}" for number in range(40)]
    with Server(tmp_path / "held.sock", hold), ThreadPoolExecutor(max_workers=40) as pool:
        calls = [pool.submit(call, "aws", name) for name in names]
        assert first.wait(10)
        meanwhile = another.wait(0.3)
        go_on.set()
        assert [each.result()["action"] for each in calls] == names
    assert not meanwhile
    assert seen[0::2] == seen[1::2]


def test_one_that_is_killed_before_it_reads_its_answer_is_no_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Server(tmp_path / "left.sock", handle), socket.socket(socket.AF_UNIX) as killed:
        killed.connect(str(tmp_path / "left.sock"))
        killed.sendall(b'{"cloud": "aws", "action": "Read", "arguments": {}}\n')
        assert select.select([killed], [], [], 10)[0]
        killed.close()
    assert capsys.readouterr().err == ""


def test_without_a_lab_a_call_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(LabError, match=f"{VARIABLE} is not set"):
        call("aws", "RunInstances")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "gone.sock"))
    with pytest.raises(LabError, match="do not answer"):
        call("aws", "RunInstances")


def test_a_server_that_ends_before_it_answers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "short.sock"
    monkeypatch.setenv(VARIABLE, str(place))
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()

        def end_it() -> None:
            listening.accept()[0].close()

        thread = threading.Thread(target=end_it)
        thread.start()
        with pytest.raises(LabError, match=r"ended before they answered RunInstances|do not answer"):
            call("aws", "RunInstances")
        thread.join()


def test_after_its_end_nothing_of_a_server_is_left_and_another_may_take_its_place(path: Path, tmp_path: Path) -> None:
    with Server(tmp_path / "second.sock", handle):
        assert (tmp_path / "second.sock").exists()
    assert not (tmp_path / "second.sock").exists()
    (tmp_path / "second.sock").touch()  # of one that was killed
    with Server(tmp_path / "second.sock", handle):
        pass


def test_when_a_server_has_ended_the_call_at_work_is_over_and_later_ones_were_refused(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    done: list[str] = []

    def slow(_cloud: str, action: str, _arguments: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        assert go_on.wait(10)
        done.append(action)
        return {}

    request = '{"cloud": "aws", "action": "%s", "arguments": {}}\n'
    with socket.socket(socket.AF_UNIX) as connection, socket.socket(socket.AF_UNIX) as idle:
        server = Server(tmp_path / "slow.sock", slow)
        server.__enter__()
        idle.connect(str(tmp_path / "slow.sock"))
        connection.connect(str(tmp_path / "slow.sock"))
        connection.sendall((request % "First" + request % "Second").encode())
        assert begun.wait(10)
        ending = threading.Thread(target=server.__exit__, args=(None, None, None))
        ending.start()
        assert server._closing.wait(10)
        ending.join(0.5)
        assert ending.is_alive()
        go_on.set()
        ending.join(10)
        assert not ending.is_alive()
        assert done == ["First"]
        with connection.makefile() as lines:
            assert lines.readline() == '{"result": {}}\n'
            assert '"code": "Closed"' in lines.readline()
    assert done == ["First"]


def test_what_is_no_answer_in_json_is_told_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "odd.sock"))
    with Server(tmp_path / "odd.sock", lambda *_: {"made": {1, 2}}):
        with pytest.raises(ApiError, match=r"InternalError: TypeError: .*not JSON serializable"):
            call("aws", "RunInstances")
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "odd.sock"))
            connection.sendall(b"\xff\n")
            assert b"InternalError" in connection.recv(1000)


def test_a_pool_gives_the_first_address_that_is_free() -> None:
    pool = Pool(IPv4Network("198.19.0.0/30"))
    assert pool.allocate([]) == "198.19.0.1"
    assert pool.allocate(["198.19.0.1"]) == "198.19.0.2"
    assert pool.allocate(["198.19.0.2"]) == "198.19.0.1"
    with pytest.raises(LabError, match=r"all addresses of 198\.19\.0\.0/30 are given out"):
        pool.allocate({"198.19.0.1", "198.19.0.2"})
