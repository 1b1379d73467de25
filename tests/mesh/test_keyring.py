"""The key ring: each site's bundle has its own private key, preshared keys are equal at both ends, errors show none."""

import re
from base64 import b64encode

import pytest

from mesh.keyring import KeyRing
from mesh.keys import generate_private_key, generate_root
from mesh.plan import plan
from tests.mesh.meshes import familiar

MESH = familiar()
PLANS = plan(MESH)
PRIVATE = {site.name: generate_private_key() for site in MESH.sites}
ROOT = generate_root()
TEXTS = {str(site): key.reveal() for site, key in PRIVATE.items()}


def bundles() -> dict[str, str]:
    ring = KeyRing.of(TEXTS, ROOT)
    return {str(name): ring.bundle(each, f"SHA256:{name}", {}).text for name, each in PLANS.items()}


def preshared(text: str) -> dict[str, str]:
    """The preshared key of each peer section by the name in the comment before it."""
    found = re.findall(r"# (\S+)\n\[Peer\]\n(?:(?!\n\n)[\s\S])*?PresharedKey = (\S+)\n", text)
    return dict(found)


def test_each_bundle_has_its_own_private_key_and_nobody_elses() -> None:
    for name, text in bundles().items():
        assert f"PrivateKey = {TEXTS[name]}\n" in text
        assert [other for other in TEXTS if TEXTS[other] in text] == [name]
        assert ROOT not in text


def test_each_bundle_has_the_public_keys_of_all_peers_and_the_machine_it_is_for() -> None:
    for name, text in bundles().items():
        peers = set(re.findall(r"PublicKey = (\S+)", text))
        assert peers == {key.public_key() for other, key in PRIVATE.items() if other != name}
        assert f"@machine SHA256:{name}\n" in text


def test_a_preshared_key_is_equal_at_both_ends_and_of_this_pair_only() -> None:
    keys = {name: preshared(text) for name, text in bundles().items()}
    pairs = {(a, b): key for a, peers in keys.items() for b, key in peers.items()}
    assert len(pairs) == 4 * 3
    assert all(pairs[b, a] == key for (a, b), key in pairs.items())
    assert len(set(pairs.values())) == 4 * 3 // 2


@pytest.mark.parametrize(
    "bad",
    [b64encode(b"canary" * 5).decode(), b64encode(b"\x51" * 31 + b"\xe0").decode(), "canary-that-is-no-base64"],
    ids=["too short", "not clamped", "not base64"],
)
def test_a_bad_key_s_error_names_the_site_and_not_the_key(bad: str) -> None:
    with pytest.raises(ValueError, match=r"^the private key of sfo: ") as caught:
        KeyRing.of({**TEXTS, "sfo": bad}, ROOT)
    assert bad not in str(caught.value)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None


def test_a_key_ring_cannot_be_printed() -> None:
    ring = KeyRing.of(TEXTS, ROOT)
    for secret in (ROOT, *TEXTS.values()):
        assert secret not in repr(ring)
        assert secret not in f"{ring}"
