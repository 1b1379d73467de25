"""The Pulumi program: stack config in, resources and outputs out. Every check runs before the first resource."""

import os
from pathlib import Path

import pulumi

from components.helper import helper_text
from components.mesh import WireguardMesh
from components.stackconfig import stack_mesh
from mesh.outputs import outputs
from mesh.plan import plan

mesh = stack_mesh(lab="WIREGUARD_MESH_LAB" in os.environ)
plans = plan(mesh)
shown = outputs(mesh, plans)

made = WireguardMesh("mesh", mesh=mesh, plans=plans, helper=helper_text(Path(__file__).parent / "host"))
for name, value in {**shown, **made.outputs}.items():
    pulumi.export(name, value)
