"""What `make up` tells of what the engine says: each failure once, by its resource, and nobody's URN."""

import json
from typing import Any

import pytest

from lab.following import follow

FAILED = "nyc-host", "after 4 failed attempts: ssh: handshake failed: ssh: host key mismatch\n"
# As the SDK 3.259.0 said it, frames in between left out.
MARKER = (
    "python inline source runtime error: resource nyc-host [command:remote:Command] failed to register\n"
    "Traceback (most recent call last):\n"
    '  File ".../pulumi/runtime/stack.py", line 189, in wait_for_rpcs\n    raise exn from cause\n'
    "pulumi.runtime.stack.ResourceRegistrationFailed: resource nyc-host [command:remote:Command] failed to register\n"
)
AGAIN = f"an unhandled error occurred: {MARKER}"
# pkg/resource/deploy/deployment_executor.go, printPendingOperationsWarning
PENDING = (
    "Attempting to deploy or update resources with 2 pending operations from previous deployment.\n"
    "  * urn:pulumi:prod::wireguard-mesh::wireguard-mesh:index:Endpoint$command:remote:Command::nyc-host, interrupted"
    " while creating\n"
    "  * urn:pulumi:prod::wireguard-mesh::aws:ec2/instance:Instance::use1, interrupted while updating\n"
    "These resources are in an unknown state"
)


def said(kind: str, *events: tuple[str, str]) -> list[str]:
    return [json.dumps({"event": {"kind": kind, "name": name, "message": message}}) for name, message in events]


def test_a_resource_that_failed_is_told_once_and_not_by_those_that_depend_on_it() -> None:
    heard: list[dict[str, Any]] = []
    lines = said("error", ("", MARKER), FAILED, ("", AGAIN), ("", "update failed"))
    end, _, errors = follow([*lines, json.dumps({"failure": "all of it"})], heard.append)
    assert errors == (("nyc-host", FAILED[1].strip()),)
    assert end == {"failure": "all of it"}
    assert len(heard) == 4


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ([("", "Error: the stack config has 1 fault")], "Error: the stack config has 1 fault"),
        ([("", MARKER), ("", "keys cannot change"), FAILED], "keys cannot change"),
        ([("", MARKER), ("", AGAIN)], MARKER.strip()),
        ([FAILED, ("", MARKER.replace("ResourceRegistrationFailed", "ValueError"))], "python inline source"),
    ],
    ids=["a fault", "a fault besides", "nothing else", "another exception"],
)
def test_what_is_said_of_the_stack_as_a_whole_is_told_where_nothing_else_says_it(
    events: list[tuple[str, str]], told: str
) -> None:
    _, _, errors = follow(said("error", *events), lambda _: None)
    assert dict(errors)[""].startswith(told)


def test_pending_operations_are_told_by_the_names_of_their_resources() -> None:
    _, (warning, other), _ = follow(said("warning", ("", PENDING), ("ams", "old")), lambda _: None)
    assert warning.splitlines()[1:3] == [
        "  * nyc-host, interrupted while creating",
        "  * use1, interrupted while updating",
    ]
    assert warning.startswith("Attempting to deploy")
    assert other == "ams: old"
