"""What the command plugin says before anything runs: inputs that it refuses, differences, previews."""

import re
from typing import Any

import pytest

from tests.lab.plugins.bench import (
    SIGNATURE,
    UNKNOWN,
    Bench,
    CallError,
    Properties,
    file_asset,
    folder_archive,
    secret,
    text_asset,
)

pytestmark = pytest.mark.lab


def connection_of(inputs: Properties) -> Properties:
    """What a secret connection holds."""
    found: Properties = inputs["connection"]["value"]
    return found


def test_defaults_are_filled_in_and_the_connection_becomes_secret(bench: Bench) -> None:
    proxy = {"host": "bastion", "hostKey": "ssh-ed25519 A"}
    inputs, failures = bench.check({"connection": {"host": "a", "hostKey": "ssh-ed25519 A", "proxy": proxy}})
    assert not failures
    filled = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
    expected = {"host": "a", "hostKey": "ssh-ed25519 A", **filled, "proxy": {**proxy, **filled}}
    assert inputs == {"connection": secret(expected)}


def test_a_private_key_becomes_secret_and_a_default_never_replaces_a_zero(bench: Bench) -> None:
    inputs, failures = bench.check(bench.inputs(bench.connection(dialErrorLimit=0)))
    assert not failures
    assert connection_of(inputs)["privateKey"] == secret(bench.key)
    assert connection_of(inputs)["dialErrorLimit"] == 0


@pytest.mark.parametrize(
    ("connection", "properties", "refused", "reason"),
    [
        ({"host": None}, {}, "connection", "host: Missing required field 'host' on 'remote.Connection'"),
        ({"hostkey": "x"}, {}, "connection", "hostkey: Unrecognized field 'hostkey' on 'remote.Connection'"),
        (
            {"port": "22"},
            {},
            "connection",
            "Field 'port' on 'remote.Connection' must be a 'float64'; got 'string' instead",
        ),
        ({"proxy": {"port": 1}}, {}, "connection", "Missing required field 'host' on 'remote.ProxyConnection'"),
        ({}, {"creat": "x"}, "creat", "Unrecognized field 'creat' on 'remote.CommandInputs'"),
        ({}, {"create": ["x"]}, "create", "must be a 'string'; got '[]interface {}' instead"),
        ({}, {"create": {"a": "b"}}, "create", "Cannot decode Object{} to type string"),
        ({}, {"environment": {"A": 1}}, "environment[A] value", "must be a 'string'; got 'float64' instead"),
        ({}, {"addPreviousOutputInEnv": "no"}, "addPreviousOutputInEnv", "must be a 'bool'; got 'string' instead"),
        ({}, {"triggers": "x"}, "triggers", "must be a '[]interface {}'; got 'string' instead"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_name(
    bench: Bench, connection: Properties, properties: Properties, refused: str, reason: str
) -> None:
    inputs, failures = bench.check(bench.inputs(bench.connection(**connection), **properties))
    assert [name for name, _ in failures] == [refused]
    assert reason in failures[0][1]
    assert connection_of(inputs)["privateKey"] == secret(bench.key)  # a refusal does not show it either


def test_a_connection_is_required(bench: Bench) -> None:
    missing = "Missing required field 'connection' on 'remote.CommandInputs'"
    assert bench.check({"create": "true"})[1] == [("connection", missing)]


def test_a_logging_mode_that_does_not_exist_is_let_pass(bench: Bench) -> None:
    assert bench.check(bench.inputs(logging="loud"))[1] == []


def test_a_resource_that_does_not_exist_is_not_found(bench: Bench) -> None:
    with pytest.raises(CallError) as error:
        bench.check({}, "Teleport")
    assert (error.value.code, error.value.text) == ("NOT_FOUND", "Resource 'remote:Teleport' not found")


@pytest.mark.parametrize("end", ["host", "bastion"])
def test_a_host_key_that_is_not_given_is_refused_in_the_lab(bench: Bench, end: str) -> None:
    bare: dict[str, Any] = {"hostKey": None} if end == "host" else {"proxy": {"host": "b"}}
    _, failures = bench.check(bench.inputs(bench.connection(**bare)))
    if bench.released:
        assert failures == []  # it checks no key at all then
    else:
        assert [name for name, _ in failures] == ["connection" if end == "host" else "connection.proxy"]
        assert "host keys are always checked" in failures[0][1]


def test_a_host_key_that_is_not_known_yet_is_let_pass(bench: Bench) -> None:
    for connection in (bench.connection(hostKey=UNKNOWN), UNKNOWN):
        assert bench.check({"connection": secret(connection)})[1] == []


def test_a_password_is_refused_in_the_lab(bench: Bench) -> None:
    _, failures = bench.check(bench.inputs(bench.connection(password="open sesame")))
    assert bench.released or [name for name, _ in failures] == ["connection.password"]
    assert "sesame" not in str(failures)


def test_a_secret_that_is_not_known_yet_is_checked_as_an_empty_one(bench: Bench) -> None:
    inputs, failures = bench.check(bench.inputs(stdin=secret(UNKNOWN), create=UNKNOWN))
    assert not failures
    assert inputs["stdin"] == secret("")
    assert inputs["create"] == UNKNOWN


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (None, "Missing required field 'source'"),
        ("text", "either asset or archive must be set"),
        (UNKNOWN, "either asset or archive must be set"),
        ({**text_asset("", "d"), "uri": "https://host/file"}, "must be a path-based file asset or a text asset"),
        (folder_archive("", "d"), "archive must be a path to a file or directory"),
    ],
)
def test_a_source_that_cannot_be_copied_is_refused(bench: Bench, source: Any, reason: str) -> None:
    inputs = bench.inputs(remotePath="/x", **({} if source is None else {"source": source}))
    _, failures = bench.check(inputs, "CopyToRemote")
    assert any(reason in text for _, text in failures)


@pytest.mark.parametrize("source", [text_asset("a", "d"), secret(text_asset("a", "d")), folder_archive("/tmp", "d")])
def test_a_source_that_can_be_copied_is_let_pass(bench: Bench, source: Properties) -> None:
    inputs, failures = bench.check(bench.inputs(remotePath="/x", source=source), "CopyToRemote")
    assert not failures
    assert inputs["source"] == source


CHANGES: list[tuple[Properties, Properties, dict[str, str], list[str]]] = [
    ({"create": "a"}, {"create": "a"}, {}, []),
    ({"create": "a"}, {"create": "b"}, {"create": "UPDATE"}, []),
    ({"stdin": secret("a")}, {"stdin": secret("b")}, {"stdin": "UPDATE"}, []),
    ({"stdin": secret("a")}, {"stdin": "a"}, {"stdin": "UPDATE"}, []),
    ({"stdin": "a"}, {}, {"stdin": "DELETE"}, []),
    ({"create": "a"}, {"create": UNKNOWN}, {"create": "UPDATE"}, []),
    ({"stdin": secret("a")}, {"stdin": secret(UNKNOWN)}, {}, []),
    (
        {"environment": {"A": "1", "B": "1"}},
        {"environment": {"A": "2", "a b": "1"}},
        {"environment.A": "UPDATE", "environment.B": "DELETE", 'environment["a b"]': "ADD"},
        [],
    ),
    ({}, {"triggers": [1]}, {"triggers": "ADD_REPLACE"}, ["triggers"]),
    ({"triggers": [1]}, {}, {"triggers": "DELETE_REPLACE"}, ["triggers"]),
    (
        {"triggers": [1, {"x": 1}]},
        {"triggers": [1, {"x": 2}, 3]},
        {"triggers[1].x": "UPDATE", "triggers[2]": "ADD"},
        [],
    ),
    ({"create": "a"}, {"create": "a", "version": "1", "__defaults": []}, {}, []),
]


@pytest.mark.parametrize(("old", "new", "kinds", "replaces"), CHANGES)
def test_changes_are_named_by_path_and_only_triggers_replace(
    bench: Bench, old: Properties, new: Properties, kinds: dict[str, str], replaces: list[str]
) -> None:
    assert bench.diff(bench.inputs(**old), bench.inputs(**new)) == (kinds, replaces)


def test_a_changed_connection_is_an_update_and_shows_nothing_of_itself(bench: Bench) -> None:
    old, new = bench.inputs(), bench.inputs(bench.connection(privateKey="another"))
    assert bench.diff(old, new) == ({"connection": "UPDATE"}, [])


def test_an_asset_differs_by_its_hash_only(bench: Bench) -> None:
    old = bench.inputs(source=text_asset("a", "one"), remotePath="/x")
    assert bench.diff(old, {**old, "source": text_asset("b", "one")}, "CopyToRemote") == ({}, [])
    assert bench.diff(old, {**old, "source": text_asset("a", "two")}, "CopyToRemote") == ({"source": "UPDATE"}, [])


def test_a_preview_dials_nothing_and_leaves_the_outputs_open(bench: Bench) -> None:
    inputs = bench.inputs(bench.connection(host="192.0.2.1"), create="true", stdin=secret(UNKNOWN))
    identity, outputs = bench.create(inputs, preview=True)
    assert re.fullmatch("name[0-9a-f]{8}", identity)
    assert (outputs["stdout"], outputs["stderr"]) == (UNKNOWN, UNKNOWN)
    assert outputs["connection"] == inputs["connection"]
    assert outputs["stdin"] == {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "secret": True}


@pytest.mark.parametrize(
    ("new", "expected"), [({"create": "b"}, UNKNOWN), ({"create": "a"}, "was"), ({"create": "a", "stdin": "x"}, "was")]
)
def test_a_previewed_update_leaves_the_outputs_open_where_an_input_changed(
    bench: Bench, new: Properties, expected: str
) -> None:
    state = bench.inputs(create="a", stdout="was", stderr="")
    assert bench.update(state, bench.inputs(**new), preview=True)["stdout"] == expected


def test_a_previewed_copy_does_not_know_its_source(bench: Bench) -> None:
    inputs = bench.inputs(source=file_asset(bench.directory / "first.pub", "d"), remotePath="/x")
    identity, outputs = bench.create(inputs, "CopyToRemote", preview=True)
    assert (identity, outputs["source"], outputs["remotePath"]) == ("", UNKNOWN, "/x")
