"""Stack files: what YAML may say, the lines of places, and what is refused."""

import pytest

from mesh.config.faults import ConfigError
from mesh.config.stackfile import load, read_stack_file
from tests.mesh.config.configs import SSH_KEY, WIREGUARD_KEY

TEXT = """\
encryptionsalt: v1:abc
config:
  aws:region: us-east-1
  wireguard-mesh:mesh:
    tunnel: [10.99.0.0/24, "fd00::/64"]
  wireguard-mesh:sites:
    nyc:
      private_key: {secure: v1:xyz}
      networks: &networks
        lan:
          cidr: 10.20.0.0/24
          masquerade: true
    ams:
      networks: *networks
"""


def test_only_the_projects_sections_are_read() -> None:
    networks = {"lan": {"cidr": "10.20.0.0/24", "masquerade": True}}
    assert read_stack_file(TEXT) == {
        "mesh": {"tunnel": ["10.99.0.0/24", "fd00::/64"]},
        "sites": {"nyc": {"private_key": {"secure": "v1:xyz"}, "networks": networks}, "ams": {"networks": networks}},
    }


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("mesh", 4),
        ("mesh.tunnel[1]", 5),
        ("sites.nyc.networks.lan.cidr", 11),
        ("sites.nyc.networks.lan.cidr[0]", 11),
        ("sites.nyc.networks.lan.interface", 10),
        ("sites.ams.address", 13),
        ("access[0].from", None),
        ("", None),
    ],
)
def test_a_place_has_a_line_or_that_of_what_is_around_it(place: str, line: int | None) -> None:
    assert load(TEXT).line(place) == line


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("2001:10:20:30:40:50:51:52", "2001:10:20:30:40:50:51:52"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("True", True),
        ("'true'", "true"),
        ("~", None),
        ("", None),
        ("51820", 51820),
        ("-1", -1),
        ("'022'", "022"),
        ("10.99", 10.99),
        ("1e3", 1000.0),
        ("10.99.0.1", "10.99.0.1"),
        ("9" * 40, "9" * 40),
    ],
)
def test_a_word_is_what_the_engine_reads_it_as(written: str, value: object) -> None:
    section = read_stack_file(f"config: {{'wireguard-mesh:mesh': {{key: {written}}}}}")["mesh"]
    assert section == {"key": value}
    assert isinstance(section, dict)
    assert type(section["key"]) is type(value)


def sections(*lines: str) -> str:
    return "config:\n  wireguard-mesh:sites:\n" + "\n".join(f"    {line}" for line in lines)


BAD = [
    (
        "a key that is there twice",
        sections("nyc: {address: 10.99.0.1,", "      address: 10.99.0.2}"),
        "sites.nyc.address: is there twice, on lines 3 and 4; keep one",
    ),
    (
        "an octal number",
        sections("nyc: {listen_port: 022}"),
        "sites.nyc.listen_port: YAML reads '022' as another number; write it in decimal, or put it in quotes",
    ),
    (
        "digits in groups",
        sections("nyc: {listen_port: 51_820}"),
        "sites.nyc.listen_port: YAML reads '51_820' as another number; write it in decimal, or put it in quotes",
    ),
    (
        "a section with and without the namespace",
        "config:\n  sites: {}\n  wireguard-mesh:sites: {}",
        "sites: is there twice, with and without the namespace; keep one",
    ),
    (
        "a section in the old form as well",
        "config:\n  wireguard-mesh:config:sites: {}\n  sites: {}",
        "sites: is there twice, with and without the namespace; keep one",
    ),
    (
        "a merge at the top",
        "a: &a {}\n<<: *a\nconfig: {}",
        '["<<"]: merge keys are not taken here; write the values out',
    ),
    (
        "a merge in the config",
        "a: &a {wireguard-mesh:sites: {}}\nconfig:\n  <<: *a",
        '["<<"]: merge keys are not taken here; write the values out',
    ),
    (
        "a merge in a site",
        sections("nyc: &nyc {}", "ams: {<<: *nyc}"),
        'sites.ams["<<"]: merge keys are not taken here; write the values out',
    ),
    ("a number as a key", sections("5: {}"), "sites: the number 5 cannot be a key; put it in quotes"),
    ("a list as a key", sections("? [a]", ": {}"), "sites: a list or mapping cannot be a key; put it in quotes"),
    (
        "a tag",
        sections("nyc: !!binary aGk="),
        "sites.nyc: the tag 'tag:yaml.org,2002:binary' is not taken here; write the value without it",
    ),
    ("a tab", "config:\n\ta: b", "line 2, column 1: is no valid YAML: a tab; YAML is indented by spaces"),
    (
        "a mapping that does not end",
        sections("nyc: {address: 10.99.0.1"),
        "line 3, column 29: is no valid YAML: expected ',' or '}', but got '<stream end>'",
    ),
    ("an alias of nothing", sections("nyc: *all"), "line 3, column 10: is no valid YAML: found undefined alias 'all'"),
    (
        "the selector of everything without quotes",
        sections("nyc: [*]"),
        'line 3, column 12: is no valid YAML: a * begins an alias; put it in quotes, "*"',
    ),
    (
        "a control character",
        sections("nyc: \x07"),
        "line 3: is no valid YAML: special characters are not allowed",
    ),
    ("two documents", "config: {}\n---\nconfig: {}", "line 2, column 1: is no valid YAML: but found another document"),
    ("a file that is a list", "- config", "a stack file is a mapping that begins with 'config:'"),
    ("a config that is a word", "config: nyc", "config: expected a mapping of keys and values"),
    ("an alias of what it is in", sections("nyc: &nyc {a: *nyc}"), "is nested too deeply"),
    (
        "aliases of aliases without number",
        sections("l0: &l0 [a]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 20)}]" for n in range(1, 9))),
        "the file has more than 200000 values, aliases followed",
    ),
]


@pytest.mark.parametrize(("text", "report"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_the_engine_refuses_or_guesses_is_a_fault(text: str, report: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_stack_file(text)
    (fault,) = caught.value.faults
    assert str(fault).endswith(report) if report == "is nested too deeply" else str(fault) == report


@pytest.mark.parametrize("key", ["wireguard-mesh:sites", "sites", "'sites'", "wireguard-mesh:config:sites"])
def test_a_section_is_read_under_every_key_that_the_engine_takes_for_it(key: str) -> None:
    file = load(f"config:\n  aws:sites: {{lon: {{}}}}\n  {key}:\n    nyc: {{}}")
    assert file.sections == {"sites": {"nyc": {}}}
    assert not file.faults
    assert (file.line("sites"), file.line("sites.nyc")) == (3, 4)


def test_a_section_of_another_project_is_not_read() -> None:
    assert load("config: {wireguard: {}, other:config:sites: {}, wireguard-mesh-2:sites: {}}").sections == {
        "wireguard": {}
    }


@pytest.mark.parametrize("text", ["", "config:", "config: {}", "# nothing", "config: {aws:region: us-east-1}"])
def test_a_file_without_our_sections_has_none(text: str) -> None:
    assert read_stack_file(text) == {}


def test_faults_of_yaml_never_show_the_line_that_they_are_on() -> None:
    line = SSH_KEY.splitlines()[2]
    texts = (
        f'config: "{WIREGUARD_KEY}',
        f"config: [*{line}]",
        f"config: {{{WIREGUARD_KEY}: a: b}}",
        f"&{line} &b c: d",
    )
    for text in (*texts, f"config: *{WIREGUARD_KEY[:40]}"):
        (fault,) = load(text).faults
        assert WIREGUARD_KEY[:40] not in str(fault)
        assert line[:40] not in str(fault)
