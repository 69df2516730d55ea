"""Whatever somebody changes in what is stored: no reader takes it for the truth, and none falls over it."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import Signer, TrustedSigners, create_signing_keys
from tests.attacks.mutations import make_stock, mutate
from tests.making import STARTED


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    ring = LocalKeyring.create(folder / "ring.json", STARTED)
    create_signing_keys(folder / "signing")
    writer, verifier = (Signer.load(folder / "signing" / f"{role}.pem") for role in ("manifest", "proof"))
    return make_stock(ring, writer, verifier, TrustedSigners.load(folder / "signing" / "trusted.json"))


def accepted(stock, *, seed: int, count: int) -> tuple[list[str], Counter[str]]:
    random, taken, kinds = Random(seed), [], Counter()
    for _ in range(count):
        mutation = mutate(stock, random)
        kinds[mutation.kind] += 1
        if stock.changed(mutation.key, mutation.body):
            taken.append(str(mutation))
    return taken, kinds


def test_of_a_thousand_mutations_none_is_accepted(stock):
    taken, kinds = accepted(stock, seed=1, count=1_000)

    assert taken == []
    assert min(kinds.values()) > 100


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 7))
def test_of_ten_thousand_mutations_none_is_accepted(stock, seed):
    assert accepted(stock, seed=seed, count=2_000)[0] == []


def test_every_reader_sees_what_is_stored(stock):
    """Else no mutation would be refused: each is asked once about nothing at all."""
    assert [key for key in stock.readers if not stock.bytes_of(key)] == []
    for key in stock.readers:
        assert not stock.changed(key, stock.bytes_of(key))
        assert not stock.changed(key, b"")
