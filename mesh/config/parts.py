"""What every mapping of the config has in common, and what each cloud's has to say of itself."""

from abc import abstractmethod
from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo
from pydantic import model_validator as validates

from mesh.config.faults import Found
from mesh.config.forms import unsealed
from mesh.model import Kind


class Part(BaseModel):
    """A mapping of the config. A key without a value counts as left out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @validates(mode="before")
    @classmethod
    def _without_empty_values(cls, data: object, info: ValidationInfo) -> object:
        if data is None:
            return {}
        if isinstance(data, dict):
            unsealed(data, info)
            return {key: value for key, value in data.items() if value is not None}
        return data


def required(description: str, default: object = None, **more: Any) -> Any:
    """A field that the checks demand; the model itself does without, so that other faults are still found."""
    return Field(default=default, description=description, json_schema_extra={"required": True}, **more)


class Written(Protocol):
    """What was written of one part, faults included; places are relative to it."""

    def misses(self, *loc: str | int) -> bool:
        """True where nothing was written, and not because what it belongs to is faulty itself."""

    def spoilt(self, *loc: str | int) -> bool:
        """True where there is a fault at the place, or in what belongs to it."""

    def names(self, *loc: str | int) -> list[str]:
        """The keys of a mapping as they were written, faulty ones included."""


class CloudPart(Part):
    """A machine in a cloud, which the program makes.

    `kind` is its key in a site, `cloud` what people call it, `interface` the machine's one that leads to its VPC. With
    `masquerades` a network behind it does so where nothing else is said. `tables` is the key of the route tables
    of a VPC that exists, None where the cloud has none. `way_back` is what to write where nothing leads answers back,
    with `{site}` for the name of the site.
    """

    kind: ClassVar[str]
    cloud: ClassVar[str]
    interface: ClassVar[str]
    masquerades: ClassVar[bool]
    tables: ClassVar[str | None]
    way_back: ClassVar[str]

    # Each cloud says what these look like.
    region: str | None = None
    vpc_cidr: IPv4Network | None = None
    vpc: str | None = None

    @property
    def vpc_range(self) -> IPv4Network | None:
        """The VPC's own range; None where the VPC exists and only the cloud knows."""
        return self.vpc_cidr if self.vpc is None else None

    @property
    @abstractmethod
    def without_ipv6(self) -> str | None:
        """Why no network of the VPC has IPv6, and the way out; None where one may."""

    def routed(self, written: Written) -> bool:
        """False where no route table leads answers of the networks' hosts back to the gateway.

        A VPC that is made has one of its own; those of one that exists have to be named.
        """
        return self.tables is not None and (written.misses("vpc") or not written.misses(self.tables))

    @abstractmethod
    def check(self, written: Written) -> Iterator[Found]:
        """Yields the faults that take more than one of its values to see, with places relative to it."""

    @abstractmethod
    def build(self) -> Kind:
        """The kind of site that it describes, after every check."""
