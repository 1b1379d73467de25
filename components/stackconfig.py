"""From the engine's config to the checked mesh: the one place where the program reads it."""

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from mesh.config import documentation_addresses, engine_sections, parse
from mesh.config.faults import ConfigError, report
from mesh.model import Mesh
from mesh.warnings import warnings


def stack_mesh(*, lab: bool) -> Mesh:
    """The mesh of this stack. Raises pulumi.RunError, which the engine shows without a traceback, with all faults.

    What is no fault and yet hardly meant becomes a warning of the engine's.

    Addresses kept for documentation are at home in the `lab` only: on a real `up` they would time out one by one.
    """
    # All of it, and not key by key through pulumi.Config, so that a misspelt key is reported too. The language host
    # hands it over in the environment, the Automation API in the runtime's own variable.
    config = {**get_config_env(), **CONFIG.get()}
    try:
        mesh = parse(engine_sections(config))
    except ConfigError as error:
        raise pulumi.RunError(report(error.faults)) from None
    if not lab and (examples := documentation_addresses(mesh)):
        raise pulumi.RunError(report(examples))
    for warning in warnings(mesh):
        pulumi.log.warn(str(warning))
    return mesh
