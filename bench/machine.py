"""The machine of a run, as far as a reader can judge figures by it: no host name, and no path."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """`cores` are those that this process may use; `load` is the average of the minute before the run."""

    processor: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    load: float


def this_machine() -> Machine:
    """What Linux tells of the machine (proc(5), sched_getaffinity(2))."""
    models = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    (memory,) = re.findall(r"^MemTotal:\s*(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return Machine(
        processor=models[0].strip() if models else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=int(memory) * 1024,
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        load=os.getloadavg()[0],
    )
