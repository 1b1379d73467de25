"""Tags on AWS: bad ones with their whole reports, and what is near to them."""

import pytest

from tests.mesh.config.configs import Row, clouds, faults

AWS = "sites.use1.aws"
MARKS = "letters, digits, spaces and + - = . _ : / @"

TABLE: list[Row] = [
    (
        "tags keep to what AWS takes and the program leaves",
        {
            f"{AWS}.tags": {
                "AWS:created": "me",
                "Name": "gateway",
                "wireguard-mesh:site": "other",
                "wireguard-mesh:image": "other",
                "bad;name": "x",
                "n" * 129: "x",
                "value": "a;b",
                "long": "v" * 257,
                "number": 5,
            }
        },
        [
            f"{AWS}.tags[\"AWS:created\"]: begins with 'aws:', which AWS keeps for itself; take another name",
            f"{AWS}.tags.Name: is set by the program; take another name",
            f'{AWS}.tags["wireguard-mesh:site"]: is set by the program; take another name',
            f'{AWS}.tags["wireguard-mesh:image"]: is set by the program; take another name',
            f'{AWS}.tags["bad;name"]: is no name of a tag: 1 to 128 {MARKS}',
            f'{AWS}.tags["<not shown>"]: is no name of a tag: 1 to 128 {MARKS}',
            f"{AWS}.tags.value: 'a;b' has a mark that is not for tags; it may hold {MARKS}",
            f"{AWS}.tags.long: has 257 characters; the value of a tag has at most 256",
            f"{AWS}.tags.number: expected the value of a tag, found the number 5; put it in quotes",
        ],
    ),
    (
        "there are no more tags than AWS takes",
        {f"{AWS}.tags": {f"tag-{number}": "" for number in range(47)}},
        [f"{AWS}.tags: there are 47; beside the program's own, AWS takes 46"],
    ),
    (
        "tags are a mapping",
        {f"{AWS}.tags": ["team"]},
        [f"{AWS}.tags: expected a mapping of keys and values, found a list"],
    ),
]


@pytest.mark.parametrize(("changes", "report"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_bad_config_gets_the_whole_report(changes: dict[str, object], report: list[str]) -> None:
    assert [str(fault) for fault in faults(clouds(changes))] == report


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param({f"tag-{number}": "" for number in range(46)}, id="as many as AWS takes"),
        pytest.param({"n" * 128: "v" * 256}, id="a long one"),
        pytest.param({"Cost Center": "R+D: a/b=c@d_e"}, id="every mark"),
        pytest.param({"Stra\u00dfe": "\u6771\u4eac"}, id="letters of other alphabets"),
        pytest.param({"name": "gateway", "wireguard-mesh": "yes", "laws:of": "x"}, id="near to what is taken"),
    ],
)
def test_what_is_near_to_a_fault_is_still_accepted(tags: dict[str, str]) -> None:
    assert faults(clouds({f"{AWS}.tags": tags})) == ()
