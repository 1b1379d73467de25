"""All that a program asks of the engine, as one text that people can check: every resource, its options and inputs."""

import json
import re
from typing import Any

from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest

from tests.components.conftest import SECRET, Recorder
from tests.mesh.meshes import HOST_KEY


def picture(recorder: Recorder) -> str:
    """The resources by site and name. Secrets are left out, and so is what is made anew in each run."""
    leaves = sorted(
        (request for request in recorder.requests.values() if request.custom),
        key=lambda request: (_name(request.parent), request.name),
    )
    return "\n".join(_resource(request) for request in leaves)


def _resource(request: RegisterResourceRequest) -> str:
    lines = [f"{request.type} {request.name}", f"    of {_name(request.parent)}"]
    if request.provider:
        lines.append(f"    by {request.provider.split('::')[-2]}")
    inputs = {urn for dependencies in request.propertyDependencies.values() for urn in dependencies.urns}
    if waits := sorted(_name(urn) for urn in request.dependencies if urn not in inputs):
        lines.append(f"    after {', '.join(waits)}")
    if request.deletedWith:
        lines.append(f"    gone with {_name(request.deletedWith)}")
    if request.replace_with:
        lines.append(f"    replaced with {', '.join(_name(urn) for urn in request.replace_with)}")
    if request.HasField("replacement_trigger"):
        lines.append(f"    replaced when {json.dumps(_masked(MessageToDict(request.replacement_trigger)))} changes")
    if request.replaceOnChanges:
        lines.append(f"    replaced for {', '.join(request.replaceOnChanges)}")
    if request.deleteBeforeReplace:
        lines.append("    deleted before it is replaced")
    if request.ignoreChanges:
        lines.append(f"    ignores {', '.join(request.ignoreChanges)}")
    if request.additionalSecretOutputs:
        lines.append(f"    hides {', '.join(request.additionalSecretOutputs)}")
    if request.hooks.on_error:
        lines.append(f"    after a failure {', '.join(request.hooks.on_error)}")
    if request.hooks.after_create:
        lines.append(f"    then {', '.join(request.hooks.after_create)}")
    return "\n".join([*lines, *_lines(_masked(MessageToDict(request.object)), "    ")]) + "\n"


def _lines(value: Any, margin: str) -> list[str]:
    found = []
    for key, item in sorted(value.items()):
        if isinstance(item, dict):
            found += [f"{margin}{key}:", *_lines(item, f"{margin}    ")]
        elif isinstance(item, list) and any(isinstance(each, dict) for each in item):
            for each in item:
                found += [f"{margin}{key}[]:", *_lines(each, f"{margin}    ")]
        else:
            found.append(f"{margin}{key} = {json.dumps(item)}")
    return found


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return "(secret)" if SECRET in value else {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, float) and value == int(value):
        return int(value)
    if isinstance(value, str) and value != HOST_KEY:
        return re.sub(r"ssh-ed25519 \S+", "(made)", value)
    return value


def _name(urn: str) -> str:
    return urn.rpartition("::")[2]
