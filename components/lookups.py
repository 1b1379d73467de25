"""What is asked of AWS while the program runs, and its refusal as a fault of the config that led to the question."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pulumi
from pulumi.runtime import invoke_async

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asker:
    """A site's way to ask AWS in its region, through its own provider.

    These are the first questions of a site to AWS: credentials that may not ask show here. The SDK has forms of its own
    for every function. The plain ones wait for ever where the provider could not be made, and a refusal of those that
    give an Output is shown with a traceback whoever catches it.
    """

    site: str
    region: str
    provider: pulumi.ProviderResource

    def ask(self, function: str, arguments: Mapping[str, Any], answer: type[T]) -> pulumi.Output[T]:
        """What a function of pulumi-aws answers; a refusal is a fault that the engine shows without a traceback."""
        return pulumi.Output.from_input(self._ask(function, arguments, answer))

    async def _ask(self, function: str, arguments: Mapping[str, Any], answer: type[T]) -> T:
        await self.provider.id.future()  # one that could not be made says so itself
        options = pulumi.InvokeOptions(provider=self.provider)
        try:
            found: T = await invoke_async(function, dict(arguments), options, typ=answer)
        except Exception as error:
            raise pulumi.RunError(
                f"wireguard-mesh:sites.{self.site}.aws: AWS does not answer what it offers in {self.region}:"
                f" {str(error).strip()}; see to its 'region', 'image', 'profile' and 'role', and to the credentials"
            ) from None
        return found
