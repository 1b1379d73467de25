"""Wires: the resources of a site and of the mesh, from what mesh/ decided."""
