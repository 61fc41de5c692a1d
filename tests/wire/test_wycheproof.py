"""Project Wycheproof's vectors through the functions that this program calls: nothing invalid is ever accepted."""

import nacl.exceptions
import pytest

from gossipfl.identity import BadKey, BadSignature, PeerId, verify
from gossipfl.wire.ciphers import AESGCM, CHACHAPOLY, available_suites
from gossipfl.wire.noise import BadHandshake, dh, hkdf


def cases(vectors, name, **group_fields):
    """(group, test) of every group with these fields."""
    groups = vectors(f"wycheproof_{name}.json")["testGroups"]
    return [
        (group, test)
        for group in groups
        if all(group[field] == value for field, value in group_fields.items())
        for test in group["tests"]
    ]


def unhex(test, *fields):
    return [bytes.fromhex(test[field]) for field in fields]


def test_ed25519_accepts_the_valid_signatures_and_no_other(vectors):
    ran = cases(vectors, "ed25519")
    wrong = [test["tcId"] for group, test in ran if accepts_signature(group, test) != (test["result"] == "valid")]
    assert wrong == []
    assert len(ran) == 151


def accepts_signature(group, test):
    message, signature = unhex(test, "msg", "sig")
    try:
        verify(PeerId(bytes.fromhex(group["publicKey"]["pk"])), message, signature)
    except (BadKey, BadSignature):
        return False
    return True


def test_x25519_gives_the_expected_secret_or_refuses_a_zero_one(vectors):
    ran = cases(vectors, "x25519")
    outcomes = [exchanges(test) for _, test in ran]
    assert "wrong" not in outcomes
    assert outcomes.count("right") == 487
    assert outcomes.count("refused") == 31


def exchanges(test):
    private, public, shared = unhex(test, "private", "public", "shared")
    try:
        return "right" if dh(private, public) == shared else "wrong"
    except BadHandshake:
        return "refused" if shared == bytes(32) and test["result"] == "acceptable" else "wrong"


@pytest.mark.parametrize(("suite", "name", "count"), [(CHACHAPOLY, "chacha20_poly1305", 316), (AESGCM, "aes_gcm", 66)])
def test_ciphers_open_what_is_valid_and_nothing_else(vectors, suite, name, count):
    if suite not in available_suites():
        pytest.skip("this processor has no AES instructions")
    ran = [test for _, test in cases(vectors, name, keySize=256, ivSize=96, tagSize=128)]
    assert [test["tcId"] for test in ran if opens(suite, test) != (test["result"] == "valid")] == []
    assert [test["tcId"] for test in ran if test["result"] == "valid" and not seals(suite, test)] == []
    assert len(ran) == count


def opens(suite, test):
    key, nonce, associated, message, ciphertext, tag = unhex(test, "key", "iv", "aad", "msg", "ct", "tag")
    try:
        opened = suite.decrypt(ciphertext + tag, associated, nonce, key)
    except nacl.exceptions.CryptoError:
        return False
    assert opened == message
    return True


def seals(suite, test):
    key, nonce, associated, message, ciphertext, tag = unhex(test, "key", "iv", "aad", "msg", "ct", "tag")
    return suite.encrypt(message, associated, nonce, key) == ciphertext + tag


def test_hkdf_derives_what_rfc_5869_says_and_no_more_than_it_allows(vectors):
    ran = [test for _, test in cases(vectors, "hkdf_sha256")]
    wrong = [test["tcId"] for test in ran if derives(test) != (test["result"] == "valid")]
    assert wrong == []
    assert len(ran) == 86


def derives(test):
    material, salt, info, expected = unhex(test, "ikm", "salt", "info", "okm")
    try:
        keys = hkdf(salt, material, -(-test["size"] // 32), info)
    except ValueError:
        return False
    return b"".join(keys)[: test["size"]] == expected
