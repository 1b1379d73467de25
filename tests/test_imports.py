"""The import rules: mesh/ knows nobody else, components/ and cli/ know mesh/, and lab/ never components/."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"mesh", "components", "host", "cli", "lab", "bench", "tests", "tools", "__main__"}

# For each package, the others of ours that it may import.
ALLOWED = {
    "mesh": set[str](),
    "components": {"mesh"},
    "cli": {"mesh"},
    "lab": {"mesh"},
    "bench": {"mesh", "lab"},
}


def imported(source: str) -> Iterator[str]:
    """The modules that a source text imports, by statement or by a constant name handed to an import function."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__" | "run_module")
                | ast.Attribute(attr="import_module" | "run_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def faults(package: str, source: str) -> list[str]:
    """What a source text of that package imports against the rules."""
    tops = sorted({name.partition(".")[0] for name in imported(source)})
    forbidden = [top for top in tops if top in OURS - {package} - ALLOWED[package]]
    if package == "mesh":
        forbidden += [top for top in tops if top.startswith("pulumi")]
    return forbidden


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_a_package_imports_only_what_it_may(package: str) -> None:
    files = sources(package)
    assert files
    found = {str(file.relative_to(ROOT)): faults(package, file.read_text()) for file in files}
    assert {file: names for file, names in found.items() if names} == {}


def test_the_tests_of_the_core_run_without_pulumi() -> None:
    for file in sources("tests/mesh"):
        tops = {name.partition(".")[0] for name in imported(file.read_text())}
        assert not {top for top in tops if top.startswith("pulumi") or top in {"components", "lab", "cli"}}, file


@pytest.mark.parametrize(
    ("package", "source", "found"),
    [
        ("mesh", "import pulumi", ["pulumi"]),
        ("mesh", "from pulumi_command import remote", ["pulumi_command"]),
        ("mesh", "import cli.main", ["cli"]),
        ("mesh", "def late():\n    from components.site import ColoSite", ["components"]),
        ("mesh", "if TYPE_CHECKING:\n    import lab", ["lab"]),
        ("mesh", "import importlib\nimportlib.import_module('host')", ["host"]),
        ("mesh", "__import__('tests.mesh.meshes')", ["tests"]),
        ("mesh", "from mesh import plan\nfrom . import model\nimport nacl, ipaddress", []),
        ("lab", "import mesh.plan, components.site", ["components"]),
        ("lab", "from mesh import config\nimport pulumi.automation", []),
        ("lab", "from tools import take_stack_files", ["tools"]),
        ("components", "import lab", ["lab"]),
        ("components", "import cli", ["cli"]),
        ("components", "import pulumi\nfrom mesh.model import Mesh\nfrom components import site", []),
        ("cli", "from components import site", ["components"]),
        ("cli", "from mesh.config import parse\nimport rich", []),
    ],
)
def test_an_import_against_the_rules_is_found(package: str, source: str, found: list[str]) -> None:
    assert faults(package, source) == found
