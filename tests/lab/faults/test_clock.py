"""A peer whose clock is an hour back. Hosts of the lab share the machine's clock, so such a peer's messages are made.

A time namespace moves no wall clock (time_namespaces(7)), and wireguard-go asks the kernel for the time by itself.
"""

import base64
import json
import subprocess
import sys
import time

import pytest

from tests.lab.environment import pair
from tests.lab.faults.conftest import SetStage
from tests.lab.faults.initiation import answered, initiation
from tests.lab.faults.stage import Stage

pytestmark = pytest.mark.lab

HOUR = 3600.0
# Sends what is on stdin, 0.1 s apart, since wireguard-go takes at most 50 a second of a peer, and prints what comes
# back until it has an answer to the last.
SENDER = """
import base64, json, socket, sys, time
told = json.load(sys.stdin)
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.settimeout(20)
for message in told["messages"]:
    link.sendto(base64.b64decode(message), (told["host"], told["port"]))
    time.sleep(0.1)
last = base64.b64decode(told["messages"][-1])[4:8]
while True:
    data = link.recv(2000)
    print(base64.b64encode(data).decode())
    if data[0] == 2 and data[8:12] == last:
        break
"""


def answers(stage: Stage, *clocks: float) -> list[int]:
    """Which of the initiations that ams would send to nyc by such clocks are answered, by their places.

    The last has to be.
    """
    own = base64.b64decode(stage.own)
    nyc = base64.b64decode(stage.on("nyc", "wg show wg0 public-key"))
    [host] = stage.addresses("nyc")
    messages = [
        base64.b64encode(initiation(own, nyc, 1000 + number, clock)).decode() for number, clock in enumerate(clocks)
    ]
    argv = stage.world.host("ams").python_command(["-c", SENDER], sys.executable)
    request = json.dumps({"messages": messages, "host": host, "port": 51820})
    said = subprocess.run(argv, input=request, capture_output=True, text=True, check=True).stdout
    numbers = [answered(base64.b64decode(line)) for line in said.splitlines()]
    return sorted(number - 1000 for number in numbers if number is not None)


def test_a_peer_whose_clock_went_back_is_not_answered_and_answers_itself(set_stage: SetStage) -> None:
    """What it begins is taken for a replay (whitepaper, 5.1); what others begin goes on, whatever its clock says."""
    stage = set_stage(pair())
    stage.up()
    now = time.time()
    assert answers(stage, now + 1, now + 1 - HOUR, now + 2) == [0, 2]
    # The others keep the latest time that they saw for as long as their interface is there.
    stage.on("nyc", "wg-quick down wg0 2>/dev/null; wg-quick up wg0 </dev/null >/dev/null 2>&1")
    assert answers(stage, now - HOUR) == [0]
    # From the side with the right clock a handshake succeeds, and the tunnel with it.
    matrix = stage.probe()
    assert matrix.as_granted, matrix.summary
