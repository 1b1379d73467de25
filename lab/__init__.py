"""A world to run in: gateways, LAN hosts and an operator as network namespaces, made from a stack config."""
