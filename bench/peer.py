"""The peer that the benchmark compares with, wg-meshconf: its environment, its input, and a check of its output."""

import csv
import hashlib
import io
import subprocess
import sys
from pathlib import Path

from bench.meshes import TEXTS, private_keys, public_address, tunnel_address

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements-bench.txt"
ENVIRONMENT = ROOT / ".venv-bench"
DATABASE = "database.csv"
_STAMP = "packages.stamp"
_COLUMNS = (
    *("Name", "Address", "Endpoint", "AllowedIPs", "ListenPort", "PersistentKeepalive", "FwMark", "PrivateKey"),
    *("DNS", "MTU", "Table", "PreUp", "PostUp", "PreDown", "PostDown", "SaveConfig"),
)


class PeerError(Exception):
    """wg-meshconf could not be installed, or did not do what it is measured at; the text says why."""


def version() -> str:
    """The version that is pinned."""
    (pinned,) = (line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("wg-meshconf=="))
    return pinned.split()[0].partition("==")[2]


def installed() -> Path | None:
    """The program, where the environment has what the requirements say; None where it is to be made."""
    program = ENVIRONMENT / "bin" / "wg-meshconf"
    stamp = ENVIRONMENT / _STAMP
    return program if program.is_file() and stamp.is_file() and stamp.read_text() == _wanted() else None


def install() -> Path:
    """Makes the environment anew, for this process's Python, and gives the program. Raises PeerError."""
    pip = (ENVIRONMENT / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
    steps: tuple[tuple[str | Path, ...], ...] = (
        (sys.executable, "-m", "venv", "--clear", ENVIRONMENT),
        (*pip, "--require-hashes", "--only-binary", ":all:", "-r", REQUIREMENTS),
    )
    for command in steps:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
            raise PeerError(f"wg-meshconf could not be installed:\n{last}")
    (ENVIRONMENT / _STAMP).write_text(_wanted())
    program = installed()
    if program is None:
        raise PeerError("wg-meshconf was installed, and brought no program of that name")
    return program


def command(program: Path) -> list[str | Path]:
    """What is measured: it reads the database in its folder and writes a file for each site into `texts`."""
    return [program, "-d", DATABASE, "genconfig", "-o", TEXTS]


def write(folder: Path, sites: int) -> None:
    """Writes wg-meshconf's database, in the form in which it does itself: the same sites, keys, ports and MTU as ours.

    By its own `addpeer` it would take long, since each call reads and writes the whole.
    """
    table = io.StringIO(newline="")
    rows = csv.DictWriter(table, _COLUMNS, quoting=csv.QUOTE_ALL)
    rows.writeheader()
    for number, (name, private_key) in enumerate(private_keys(sites).items(), 1):
        rows.writerow(
            {
                "Name": name,
                "Address": f"{tunnel_address(number)}/32",
                "Endpoint": public_address(number),
                "ListenPort": 51820,
                "PersistentKeepalive": 25,
                "PrivateKey": private_key,
                "MTU": 1420,
            }
        )
    (folder / DATABASE).write_text(table.getvalue())


def _wanted() -> str:
    """What is in the environment is right if its stamp is, which is written last; scripts in it name their folder."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    return f"{digest} {sys.version_info.major}.{sys.version_info.minor} {ENVIRONMENT}\n"
