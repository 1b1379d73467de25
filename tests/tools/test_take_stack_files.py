"""What a workflow takes of a pull request: plain stack files, and nothing that changes what is decrypted or shown."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "tools" / "take_stack_files.py"
BASE = "encryptionsalt: v1:one\nconfig:\n  a: 1\n"
SEALED = """\
encryptionsalt: v1:one
config:
  aws:region: eu-west-1
  wireguard-mesh:sites:
    nyc:
      private_key: {secure: v1:AAAAAAAAAAAAAAAA:c2VjcmV0cQ==}
      dns: [10.0.0.1]
"""
CIPHERTEXT = "v1:AAAAAAAAAAAAAAAA:c2VjcmV0cQ=="
MOVED = "is an encrypted value from another place; encrypt it anew for this one"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    (tmp_path / "head").mkdir()
    for name in ("Pulumi.prod.yaml", "Pulumi.dev.yaml", "head/Pulumi.prod.yaml", "head/Pulumi.dev.yaml"):
        (tmp_path / name).write_text(BASE)
    (tmp_path / "Pulumi.yaml").write_text("name: base\n")
    return tmp_path


@pytest.fixture
def sealed(here: Path) -> Path:
    (here / "Pulumi.prod.yaml").write_text(SEALED)
    (here / "head/Pulumi.prod.yaml").write_text(SEALED)
    return here


def take(here: Path, head: str = "head") -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, PROGRAM, head], cwd=here, capture_output=True, text=True, check=False)


def refusal(here: Path, text: str, name: str = "Pulumi.prod.yaml") -> str:
    """What is said of a head's file, which is not taken over."""
    (here / "head" / name).write_text(text)
    before = (here / name).read_text() if (here / name).exists() else None
    done = take(here)
    assert (done.returncode, done.stdout) == (1, "")
    assert ((here / name).read_text() if (here / name).exists() else None) == before
    return done.stderr.removeprefix(f"{name}: refused: ").removesuffix("\n")


def test_a_changed_stack_file_is_taken_over_and_named_and_an_unchanged_one_is_not(here: Path) -> None:
    assert take(here).stdout == "stacks=[]\nnew=[]\n"
    (here / "head/Pulumi.prod.yaml").write_text(BASE + "  b: 2\n")
    assert take(here).stdout == 'stacks=["prod"]\nnew=[]\n'
    assert (here / "Pulumi.prod.yaml").read_text() == BASE + "  b: 2\n"


def test_a_new_stack_file_is_taken_over_and_is_not_among_those_to_preview(here: Path) -> None:
    (here / "head/Pulumi.stage.yaml").write_text("secretsprovider: awskms://any\nconfig: {aws:region: eu-west-1}\n")
    assert take(here).stdout == 'stacks=[]\nnew=["stage"]\n'
    assert (here / "Pulumi.stage.yaml").exists()


def test_the_sample_is_taken_over_and_never_named_and_the_project_file_is_left_as_it_is(here: Path) -> None:
    (here / "head/Pulumi.dev.yaml").write_text(BASE + "  b: 2\n")
    (here / "head/Pulumi.yaml").write_text("name: evil\nruntime: nodejs\n")
    assert take(here).stdout == "stacks=[]\nnew=[]\n"
    assert (here / "Pulumi.dev.yaml").read_text() == BASE + "  b: 2\n"
    assert (here / "Pulumi.yaml").read_text() == "name: base\n"


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("one", "other"),
        BASE + "secretsprovider: hashivault://elsewhere\n",
        BASE + '"encryptedkey": abc\n',
        BASE + "environment: [other]\n",
        '{"encryptionsalt": "v1:one", "config": {"a": 1}, "secretsprovider": "awskms://elsewhere"}\n',
        "config: {a: &a {secretsprovider: awskms://elsewhere}}\nencryptionsalt: v1:one\n<<: *a\n",
        "",
    ],
)
def test_a_change_of_how_secrets_are_decrypted_is_refused(here: Path, text: str) -> None:
    assert refusal(here, text) == "it changes how secrets are decrypted"


def test_a_file_that_is_empty_on_the_base_has_settings_to_keep_as_well(here: Path) -> None:
    (here / "Pulumi.prod.yaml").write_text("")
    assert refusal(here, BASE) == "it changes how secrets are decrypted"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("no: [yaml", "no valid YAML; 'meshctl check' says where"),
        (BASE + "---\n" + BASE, "no valid YAML; 'meshctl check' says where"),
        ("- a\n", "not a plain stack file"),
        (BASE + "  b: &b [*b]\n", "it has too many values, or is nested too deeply"),
        (
            BASE + "  l0: &l0 [a]\n" + "".join(f"  l{n}: &l{n} [{f'*l{n - 1},' * 20}]\n" for n in range(1, 9)),
            "it has too many values, or is nested too deeply",
        ),
    ],
    ids=["no YAML", "two documents", "a list", "an alias of what it is in", "aliases without number"],
)
def test_a_file_that_is_not_one_stacks_is_refused(here: Path, text: str, why: str) -> None:
    assert refusal(here, text) == why


def test_a_link_and_an_odd_name_are_refused(here: Path) -> None:
    (here / "head/Pulumi.prod.yaml").unlink()
    (here / "head/Pulumi.prod.yaml").symlink_to("/etc/hostname")
    assert take(here).stderr == "Pulumi.prod.yaml: refused: not a plain stack file\n"
    (here / "head/Pulumi.prod.yaml").unlink()
    for name in ("$(id)", "-x", "a\n::stop-commands::x"):
        (here / f"head/Pulumi.{name}.yaml").write_text("config: {}\n")
        assert take(here).stderr == f"Pulumi.{name}.yaml: refused: not a plain stack file\n".replace("\n:", "\\n:")
        (here / f"head/Pulumi.{name}.yaml").unlink()


def test_a_name_that_differs_from_anothers_in_case_only_is_refused(here: Path) -> None:
    assert refusal(here, BASE, "Pulumi.PROD.yaml") == (
        "GitHub's environments ignore case, and Pulumi.prod.yaml is there"
    )
    (here / "head/Pulumi.PROD.yaml").unlink()
    (here / "head/Pulumi.Stage.yaml").write_text(BASE)
    assert refusal(here, BASE, "Pulumi.stage.yaml") == (
        "GitHub's environments ignore case, and Pulumi.Stage.yaml is there"
    )


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("dns: [10.0.0.1]", f"dns: [{{secure: {CIPHERTEXT}}}]", "wireguard-mesh:sites.nyc.dns[0]"),
        ("dns: [10.0.0.1]", f"dns: [{CIPHERTEXT}]", "wireguard-mesh:sites.nyc.dns[0]"),
        (
            "dns: [10.0.0.1]",
            "dns: {secure: 'v1:AAAAAAAAAAAAAAAA:c2Vj\n\n        cmV0cR=='}",
            "wireguard-mesh:sites.nyc.dns",
        ),
        ("dns: [10.0.0.1]", "dns: {secure: 'v1:AAAAAAAAAAAAAAAA:c2VjcmV0cQ'}", "wireguard-mesh:sites.nyc.dns"),
        ("nyc:", "ams:", "wireguard-mesh:sites.ams.private_key"),
        ("sites:", "ssh:", "wireguard-mesh:ssh.nyc.private_key"),
        (
            "nyc:",
            "lon: &lon {<<: {private_key: {secure: '" + CIPHERTEXT + "'}}}\n    nyc:",
            "wireguard-mesh:sites.lon.private_key",
        ),
    ],
)
def test_an_encrypted_value_of_the_base_stays_where_it_is(sealed: Path, old: str, new: str, where: str) -> None:
    text = SEALED.replace(old, new)
    assert text != SEALED
    section, _, rest = where.partition(".")
    assert refusal(sealed, text) == f'["{section}"].{rest} {MOVED}'


def test_an_encrypted_value_of_one_stack_does_not_come_to_another_place_in_another(sealed: Path) -> None:
    text = f"config: {{wireguard-mesh:mesh: {{interface: {{secure: '{CIPHERTEXT}'}}}}}}\n"
    assert refusal(sealed, text, "Pulumi.stage.yaml") == f'["wireguard-mesh:mesh"].interface {MOVED}'


@pytest.mark.parametrize("key", ["sites", "wireguard-mesh:config:sites"])
def test_another_value_and_another_spelling_of_the_same_place_are_taken(sealed: Path, key: str) -> None:
    text = SEALED.replace("wireguard-mesh:sites", key).replace("dns: [10.0.0.1]", "dns: [{secure: v1:BBBB:CCCC}]")
    (sealed / "head/Pulumi.prod.yaml").write_text(text)
    assert take(sealed).stdout == 'stacks=["prod"]\nnew=[]\n'


@pytest.mark.parametrize("key", ["aws:endpoints", "pulumi:tags", "aws:config:profile", "wireguard-mesh-2:sites"])
def test_a_new_key_for_another_program_is_refused(sealed: Path, key: str) -> None:
    why = f'it adds ["{key.replace(":config", "")}"], a key for another program; add it on the base branch'
    assert refusal(sealed, SEALED + f"  {key}: x\n") == why


@pytest.mark.parametrize("line", ["  wireguard-mesh:access: []\n", "  access: []\n"])
def test_a_new_key_of_this_project_is_taken(sealed: Path, line: str) -> None:
    (sealed / "head/Pulumi.prod.yaml").write_text(SEALED + line)
    assert take(sealed).stdout == 'stacks=["prod"]\nnew=[]\n'


def test_all_stacks_but_the_sample_are_named_for_this_directory_itself(here: Path) -> None:
    (here / "Pulumi.stage.yaml").write_text("config: {}\n")
    assert take(here, ".").stdout == 'stacks=["prod", "stage"]\nnew=[]\n'
