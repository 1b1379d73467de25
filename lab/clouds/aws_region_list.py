"""Which regions the stand-in for AWS knows, and what a program sees of one that does not exist."""

# The regions of the partition `aws` (AWS General Reference, Service endpoints).
REGIONS = frozenset(
    f"{continent}-{direction}-{number}"
    for continent, directions in {
        "af": {"south": 1},
        "ap": {"east": 2, "northeast": 3, "south": 2, "southeast": 7},
        "ca": {"central": 1, "west": 1},
        "eu": {"central": 2, "north": 1, "south": 2, "west": 3},
        "il": {"central": 1},
        "me": {"central": 1, "south": 1},
        "mx": {"central": 1},
        "sa": {"east": 1},
        "us": {"east": 2, "west": 2},
    }.items()
    for direction, count in directions.items()
    for number in range(1, count + 1)
)
# No code of EC2's: where there is no such region, nobody answers at all.
NO_SUCH_HOST = "NoSuchHost"


def no_such_host(service: str, region: str) -> str:
    """What aws-sdk-go-v2 says of a region that does not exist: its endpoints have no addresses."""
    host = f"{service}.{region}.amazonaws.com"
    return f'Post "https://{host}/": dial tcp: lookup {host}: no such host'
