"""The stack file that the tests of `meshctl explain` ask about."""

from pathlib import Path

from tests.mesh.config.configs import HOST_KEY

FILE = Path("Pulumi.prod.yaml")
STACK = f"""\
config:
  wireguard-mesh:mesh: {{tunnel: 10.99.0.0/24}}
  wireguard-mesh:sites:
    nyc:
      address: 10.99.0.1
      colo: {{host: nyc.mesh.net, host_key: {HOST_KEY}}}
      networks:
        virbr0: {{cidr: 192.168.122.0/24, interface: virbr0, masquerade: true}}
        old: {{cidr: 192.168.9.0/24, interface: eth9, return_route: manual, advertise_as: 10.209.0.0/24}}
    ams:
      address: 10.99.0.2
      colo: {{host: ams.mesh.net, host_key: {HOST_KEY}}}
      networks:
        lan: {{cidr: 10.20.0.0/24, interface: eth1, return_route: manual}}
        six: {{cidr: "fd26::/64", interface: eth2, return_route: manual}}
  wireguard-mesh:groups: {{both: [nyc.virbr0, nyc.old]}}
  wireguard-mesh:access:
    - {{from: ams.lan, to: nyc.virbr0, ports: [tcp/443, udp/53]}}
    - {{from: ams.lan, to: both, ports: tcp/80}}
    - {{from: nyc.old, to: ams.lan}}
"""
