"""The benchmark behind `make bench`: meshes of any size, run next to wg-meshconf, and the document of the results."""
