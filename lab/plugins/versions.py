"""The releases that the stand-ins stand in for: those that requirements.in asks the SDKs of."""

from importlib.metadata import version

COMMAND = "1.2.1"
AWS = version("pulumi-aws")
DIGITALOCEAN = version("pulumi-digitalocean")
