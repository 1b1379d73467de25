"""Keys: real X25519 keys, clamped, that cannot be printed; preshared keys that both ends derive alike."""

import shutil
import subprocess
from base64 import b64decode, b64encode

import nacl.encoding
import nacl.hash
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.keys import PrivateKey, generate_private_key, generate_root, preshared_key, preshared_keys

# RFC 7748, section 6.1: private keys (which it clamps at each use) and public keys of Alice and Bob.
RFC_7748 = [
    (
        "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
    ),
    (
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    ),
]
ROOT = b64encode(bytes(range(32, 64))).decode()

needs_wg = pytest.mark.skipif(shutil.which("wg") is None, reason="needs the program wg, of the package wireguard-tools")


def wg(verb: str, text: str = "") -> str:
    return subprocess.run(["wg", verb], input=text, capture_output=True, text=True, check=True).stdout.strip()


def clamped(value: bytes) -> bytes:
    """RFC 7748, section 5: the three lowest bits and the highest are cleared, the one below that is set."""
    number = int.from_bytes(value, "little")
    number = number >> 3 << 3
    number &= (1 << 255) - 1
    number |= 1 << 254
    return number.to_bytes(32, "little")


@pytest.mark.parametrize(("private", "public"), RFC_7748)
def test_a_public_key_is_the_one_that_the_rfc_gives(private: str, public: str) -> None:
    assert b64decode(PrivateKey(clamped(bytes.fromhex(private))).public_key()).hex() == public


@needs_wg
def test_public_keys_are_those_that_wg_derives() -> None:
    for _ in range(10):
        key = generate_private_key()
        assert wg("pubkey", key.reveal()) == key.public_key()


@needs_wg
def test_a_key_from_wg_is_taken_as_it_is() -> None:
    text = wg("genkey")
    assert PrivateKey.from_base64(text).reveal() == text


def test_generated_keys_are_clamped_and_differ() -> None:
    keys = [b64decode(generate_private_key().reveal()) for _ in range(100)]
    assert all(key == clamped(key) for key in keys)
    assert len(set(keys)) == 100


@given(st.binary(min_size=32, max_size=32))
def test_exactly_the_clamped_keys_are_taken(value: bytes) -> None:
    assert PrivateKey.from_base64(b64encode(clamped(value)).decode()).reveal() == b64encode(clamped(value)).decode()
    if value != clamped(value):
        with pytest.raises(ValueError, match="not clamped"):
            PrivateKey(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret-canary",
        b64encode(b"canary" * 5).decode(),
        b64encode(b"canary" * 6).decode(),
        b64encode(bytes(31) + b"\x40").decode() + "\n",
        b64encode(bytes(31) + b"\x40").decode()[:-2] + "B=",  # the last two bits of a 43rd character mean nothing
        "Kanäry" * 7 + "x=",
    ],
    ids=["empty", "not base64", "30 bytes", "36 bytes", "a newline", "not canonical", "not ASCII"],
)
def test_what_is_not_a_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="WireGuard key") as caught:
        PrivateKey.from_base64(text)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert not text or text.strip() not in str(caught.value)


def test_a_private_key_cannot_be_printed() -> None:
    key = generate_private_key()
    raw = b64decode(key.reveal())
    for shown in (repr(key), str(key), f"{key}", repr([key]), f"{key!r:>40}"):
        assert "PrivateKey(<secret>)" in shown
        assert key.reveal() not in shown
        assert repr(raw)[2:-1] not in shown


def test_both_ends_derive_the_same_preshared_key() -> None:
    assert preshared_key(ROOT, "nyc", "ams") == preshared_key(ROOT, "ams", "nyc")


def test_every_pair_and_every_root_has_a_preshared_key_of_its_own() -> None:
    pairs = (("a", "bc"), ("ab", "c"), ("a", "b"), ("b", "c"))
    keys = [preshared_key(root, *pair) for root in (ROOT, generate_root()) for pair in pairs]
    assert len(set(keys)) == 8
    assert all(len(b64decode(key)) == 32 for key in keys)


def test_a_preshared_key_is_keyed_blake2b_of_both_names() -> None:
    expected = nacl.hash.blake2b(
        b"ams\0nyc", digest_size=32, key=b64decode(ROOT), person=b"wg-mesh psk", encoder=nacl.encoding.Base64Encoder
    )
    assert preshared_key(ROOT, "nyc", "ams") == expected.decode()


@pytest.mark.parametrize("arguments", [(ROOT, "nyc", "nyc"), ("", "nyc", "ams"), (ROOT[:-4], "nyc", "ams")])
def test_no_preshared_key_is_made_of_anything_but_a_root_and_two_different_sites(
    arguments: tuple[str, str, str],
) -> None:
    with pytest.raises(ValueError, match=r"WireGuard key|two sites"):
        preshared_key(*arguments)


def test_roots_differ() -> None:
    assert len({generate_root() for _ in range(10)}) == 10


def test_the_preshared_keys_of_many_sites_are_those_of_each_two() -> None:
    names = [f"site{number}" for number in range(12)]
    keys = preshared_keys(ROOT, names)
    pairs = {(one, other) for one in names for other in names if one != other}
    assert {(one, other) for one, row in keys.items() for other in row} == pairs
    assert all(keys[one][other] == preshared_key(ROOT, one, other) for one, other in pairs)


def test_one_site_alone_has_no_preshared_key() -> None:
    assert preshared_keys(ROOT, ["nyc"]) == {"nyc": {}}
