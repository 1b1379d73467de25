"""What the stand-ins for AWS's resources have in common: regions, tags, combinations of properties, the way to EC2.

The released plugin is hashicorp/terraform-provider-aws v6 behind pulumi/pulumi-terraform-bridge; names of its files
below are those in internal/service/ec2. Stricter than the released one: it repeats calls for minutes while something
else is still in the way (DependencyViolation), where this one fails at once, so that a dependency that the program
forgot shows. And a property that the lab's account does nothing with is refused.
"""

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from lab.clouds import api
from lab.clouds.api import ApiError
from lab.clouds.aws_region import ACCOUNT
from lab.clouds.aws_region_list import NO_SUCH_HOST
from lab.namespaces import LabError
from lab.plugins.bridged import Bridged, Fault, Input, missing, provider_name
from lab.plugins.calls import Call, RefusedError
from lab.plugins.values import Properties, Value, plain, unknown

# What the provider takes where neither a resource nor its own configuration names a region.
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class Block(Input):
    """A property that is an object with these properties, or with any names where there are none (a map of strings).

    One with a default is taken as if it were written where the object is.
    """

    kind: Any = "object"
    fields: tuple[Input, ...] = ()


TAGS = Block("tags")
# website/docs/guides/enhanced-region-support: "Changing the value will force resource replacement".
REGION = Input("region", replaces=True)


class Ec2Error(RefusedError):
    """EC2 refused; `refusal` is its code."""

    def __init__(self, refusal: str, text: str) -> None:
        super().__init__(text)
        self.refusal = refusal


async def ask(region: str, doing: str, action: str, **arguments: Any) -> dict[str, Any]:
    """The answer of EC2 to an action; `doing` says what failed. Raises Ec2Error. What is None is left out.

    The text is the provider's, around that of aws-sdk-go-v2, without what differs from one request to the next.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return await asyncio.to_thread(api.call, "aws", action, region=region, **given)
    except ApiError as error:
        text = f"{doing}: operation error EC2: {action}, https response error StatusCode:"
        if error.code == NO_SUCH_HOST:
            raise Ec2Error(error.code, f"{text} 0, RequestID: , request send failed, {error.message}") from None
        raise Ec2Error(error.code, f"{text} 400, api error {error.code}: {error.message}") from None
    except LabError as error:
        raise RefusedError(str(error)) from None


class Ec2(Bridged):
    """One type of resource.

    `noun` is what the provider calls it, `resource` what its ARN does, `identity` EC2's parameter that has its id;
    `creates` and `deletes` are actions. `names` are EC2's for the properties; those in `later` are no parameters of the
    action that creates.
    """

    noun: ClassVar[str]
    resource: ClassVar[str] = ""
    identity: ClassVar[str] = ""
    creates: ClassVar[str] = ""
    deletes: ClassVar[str] = ""
    describes: ClassVar[str] = "Describe"
    describes_by: ClassVar[str] = "ResourceId"
    pause: ClassVar[float] = 0.0  # seconds from the action that creates to the first look
    names: ClassVar[Mapping[str, str]]
    later: ClassVar[tuple[str, ...]] = ()
    exactly_one_of: ClassVar[tuple[tuple[str, ...], ...]] = ()
    nested_replaces: ClassVar[frozenset[str]] = frozenset()  # paths within a block whose change replaces

    async def check(self, call: Call, inputs: Properties) -> tuple[Properties, list[Fault]]:
        """Refuses what no resource is made from. The region becomes one of the inputs (provider/region.go)."""
        inputs = dict(inputs)
        for block in self.inputs:
            if isinstance(block, Block) and isinstance(value := inputs.get(block.name), dict):
                defaults: Properties = {one.name: one.default for one in block.fields if one.default is not None}
                inputs[block.name] = defaults | value
        region = inputs.get("region") or call.config.get("region") or next(filter(None, map(os.getenv, _REGIONS)), None)
        given, faults = await super().check(call, inputs | ({"region": region} if region else {}))
        if not region:
            faults.append(("region", "Missing region configuration"))
        return given, faults + list(self._combined(given))

    def _combined(self, given: Properties) -> Iterable[Fault]:
        """ExactlyOneOf, hashicorp/terraform-plugin-sdk v2, helper/schema/schema.go."""
        for names in self.exactly_one_of:
            listed = ",".join(map(provider_name, names))
            there = [name for name in names if given.get(name) not in (None, "")]
            if not there:
                text = f'"{provider_name(names[0])}": one of `{listed}` must be specified'
                yield names[0], f"Invalid combination of arguments. {text}"
            elif len(there) > 1:
                said = ",".join(map(provider_name, there))
                text = f"only one of `{listed}` can be specified, but `{said}` were specified."
                yield there[0], f'Invalid combination of arguments. "{provider_name(there[0])}": {text}'

    def _misfit(self, one: Input, value: Value) -> list[Fault]:
        bare = plain(value)
        if not isinstance(one, Block) or not isinstance(bare, dict):
            return super()._misfit(one, value)
        if not one.fields:
            return [
                (f"{one.name}.{key}", "expected string type")
                for key, item in bare.items()
                if not isinstance(item, str) and not unknown(item)
            ]
        known = {field.name: field for field in one.fields}
        faults = [(f"{one.name}.{key}", f"the lab's account has no {key}") for key in sorted({*bare} - {*known})]
        for name, field in known.items():
            if name in bare and not unknown(bare[name]):
                faults += [(f"{one.name}.{place}", reason) for place, reason in self._misfit(field, bare[name])]
            elif field.required and name not in bare:
                faults.append(missing(f"{one.name}.{name}", name))
        return faults

    def _compared(self, name: str, properties: Properties) -> Properties:
        return {} if plain(properties.get(name)) == {} else super()._compared(name, properties)

    def replaces(self, path: str) -> bool:
        """As the properties' own declarations say."""
        return path in self.nested_replaces or super().replaces(path)

    def arguments(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The parameters of the action that creates, by EC2's names."""
        given = {one.name for one in self.inputs} & {*inputs} - {*self.later}
        return {theirs: _whole(inputs[ours]) for ours, theirs in self.names.items() if ours in given}

    async def make(self, call: Call, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Creates by one action, and sets afterwards what that does not take."""
        item = await ask(inputs["region"], f"creating {self.noun}", self.creates, **self.arguments(inputs))
        identity = str(item[self.identity])
        if self.later:
            await self.apply(identity, self.told(item, inputs["region"]), inputs)
        await asyncio.sleep(self.pause)
        return identity, await self.look(call, identity, inputs) or {}

    async def look(self, call: Call, identity: str, state: dict[str, Any]) -> dict[str, Any] | None:  # noqa: ARG002
        """What EC2 says of it now; None where it has no such id any more."""
        region, doing = state["region"], f"reading {self.noun} ({identity})"
        try:
            item = await ask(region, doing, self.describes, **{self.describes_by or self.identity: identity})
        except Ec2Error as error:
            if error.refusal.endswith("NotFound"):
                return None
            raise
        return self.told(item, region)

    def told(self, item: dict[str, Any], region: str) -> dict[str, Any]:
        """What EC2 answers of one, as the resource's properties."""
        found = {ours: item.get(theirs) for ours, theirs in self.names.items()}  # None takes it out of the state
        if "tags" in self.names:
            found["tagsAll"] = item["Tags"]
        if self.resource:
            found["arn"] = f"arn:aws:ec2:{region}:{ACCOUNT}:{self.resource}/{item[self.identity]}"
        return found

    async def change(self, call: Call, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        """Updates by what `apply` does, and then the tags."""
        await self.apply(identity, state, inputs)
        old, new = state.get("tags") or {}, inputs.get("tags") or {}
        doing = f"updating tags for {self.noun} ({identity})"
        if gone := [key for key in old if key not in new]:
            await ask(inputs["region"], doing, "DeleteTags", ResourceId=identity, Keys=gone)
        if changed := {key: value for key, value in new.items() if old.get(key) != value}:
            await ask(inputs["region"], doing, "CreateTags", ResourceId=identity, Tags=changed)
        return await self.look(call, identity, inputs) or {}

    async def apply(self, identity: str, state: dict[str, Any], inputs: dict[str, Any]) -> None:
        """Makes of the state what the inputs say, but for tags; by default all other changes are replacements."""

    async def remove(self, call: Call, identity: str, state: dict[str, Any]) -> None:  # noqa: ARG002
        """Deletes by one action. What is not there is deleted, as the provider has it."""
        await self.gone(identity, state["region"], self.deletes, **{self.identity: identity})

    async def gone(self, identity: str, region: str, action: str, **arguments: Any) -> None:
        """Does what takes something away, unless it is away already."""
        try:
            await ask(region, f"deleting {self.noun} ({identity})", action, **arguments)
        except Ec2Error as error:
            if not error.refusal.endswith("NotFound"):
                raise


def _whole(value: Any) -> Any:
    """Every number of EC2 is a whole one."""
    return int(value) if isinstance(value, float) else value


def differing(state: Mapping[str, Any], inputs: Mapping[str, Any], *names: str) -> list[str]:
    """Those of the properties that the inputs say, and say otherwise than the state."""
    return [name for name in names if name in inputs and inputs[name] != state.get(name)]
