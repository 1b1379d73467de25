"""The Pulumi program: stack config in, resources and outputs out. Every check runs before the first resource."""

import os
from pathlib import Path

import pulumi

from components.mesh import WireguardMesh
from components.stackconfig import stack_mesh
from mesh.outputs import outputs
from mesh.plan import plan

mesh = stack_mesh(lab="WIREGUARD_MESH_LAB" in os.environ)
plans = plan(mesh)
shown = outputs(mesh, plans)

WireguardMesh("mesh", mesh=mesh, plans=plans, helper=(Path(__file__).parent / "host/wireguard-mesh").read_text())
for name, text in shown.items():
    pulumi.export(name, text)
