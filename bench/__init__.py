"""The benchmark behind `make bench`: each part next to a peer or a floor in the same run, and the document of it."""
