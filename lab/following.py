"""What the engine says while it runs, for people: which resource failed and why, and what is worth knowing besides."""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

# How the SDK ends a program that has a resource which failed, when another one depends on it (pulumi/runtime/stack.py,
# wait_for_rpcs): the marker is left out there of outputs, and not of registrations.
_DEPENDENT = re.compile(r"ResourceRegistrationFailed: resource \S+ \[\S+\] failed to register\s*$")
_URN = re.compile(r"urn:pulumi:[^\s,]*::(?=[^\s,:])")


def follow(
    lines: Iterable[str], listener: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any], tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Hands the events in lines of `lab.engine` to the listener; gives the end, the warnings and the errors.

    An error is a resource's name and what was said of it; the stack as a whole has no name. What only says that another
    resource failed, whose own error is there, is left out.
    """
    end: dict[str, Any] = {}
    warnings = []
    errors: dict[str, str] = {}
    dependent = ""
    for line in lines:
        message = json.loads(line)
        if "event" not in message:
            end = message
            continue
        event = message["event"]
        if event["kind"] == "warning":
            warnings.append(": ".join(filter(None, (event["name"], _URN.sub("", event["message"].strip())))))
        elif event["kind"] == "error" and _DEPENDENT.search(event["message"]):
            dependent = dependent or event["message"].strip()
        elif event["kind"] == "error" and event["message"].strip() != "update failed":
            # The engine says it again, in other words, for the stack as a whole; the first is the cause.
            errors.setdefault(event["name"], event["message"].strip())
        listener(event)
    if dependent and not errors:
        errors[""] = dependent
    return end, tuple(warnings), tuple(errors.items())
