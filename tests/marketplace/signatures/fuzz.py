"""Good signatures, spoilt: bytes flipped, cut, repeated and inserted, and parts of their ASN.1 moved about.

    python -m tests.marketplace.signatures.fuzz --seconds 300 [--seed 7]

runs for as long as one likes; `test_fuzz` tries a few hundred. No spoilt signature may pass, raise or take two seconds.

A spoilt signature that passes is a fault unless it means the same: the signed attributes, the value and the signer's
certificate are, byte for byte, those of a good one. The rest is signed by nobody (other certificates in the file, the
unsigned attributes, whether NULL stands beside an algorithm), so whoever passes a signature on may change it.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from marketplace.signatures import Evidence, Policy, Report, cades, certificates_in, gate, timestamps
from marketplace.signatures.authority import DEFAULT_EKU, Authority
from marketplace.signatures.der import DerError, content, members
from marketplace.signatures.sign import _tlv, assemble, attribute, oid, sign, signed_attributes
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.signatures.verification import verify
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, issue

SECONDS = 2.0
MEMORY_KB = 512 * 1024
_LARGE = 32 * 1024
_CONTENT_STAMP = oid("1.2.840.113549.1.9.16.2.20")
Essence = tuple[bytes, bytes, bytes]


@dataclass(frozen=True, repr=False)
class World:
    """Good signatures of every kind and what they are judged by."""

    signatures: tuple[bytes, ...]
    policy: Policy
    evidence: Evidence

    @classmethod
    def create(cls) -> World:
        authority, stamps = Authority.create(AT), DemoTimeStamps.create(AT)
        kinds: list[tuple[Any, str, bool]] = [
            ("p256", "sha256", False),
            ("p384", "sha384", False),
            ("rsa-2048", "sha256", False),
            ("rsa-2048", "sha512", True),
            ("ed25519", "sha512", False),
        ]
        people = [(issue(authority, key_type=kind), digest, pss) for kind, digest, pss in kinds]
        made = [sign(PAYLOAD, person, AT, digest=digest, pss=pss) for person, digest, pss in people]
        person = people[0][0]
        stamped = cades.attach(made[0], _token(stamps, cades.stamped_value(made[0])))
        attributes = [*signed_attributes(PAYLOAD, person, AT), attribute(_CONTENT_STAMP, _token(stamps, PAYLOAD))]
        policy = Policy(
            anchors=(authority.root.der,),
            tsa_anchors=(stamps.above.root.der,),
            eku=DEFAULT_EKU,
            identifiers=frozenset({IDENTIFIER}),
        )
        lists = (*authority.crls(AT), *stamps.above.crls(AT))
        return cls((*made, stamped, assemble(attributes, person)), policy, Evidence(crls=lists))

    @cached_property
    def essences(self) -> frozenset[Essence]:
        return frozenset(map(essence, self.signatures))

    def judge(self, signature: bytes) -> Report:
        return verify(signature, PAYLOAD, self.policy, AT, self.evidence)

    def spoilt(self, chance: random.Random) -> bytes:
        """A good signature after one to four changes; those that make it large end there."""
        signature = chance.choice(self.signatures)
        for _ in range(chance.randint(1, 4)):
            if len(signature) > _LARGE:
                break
            signature = chance.choice(CHANGES)(signature, chance, chance.choice(self.signatures))
        return signature


def fault(world: World, signature: bytes) -> str | None:
    """What is wrong with the engine, shown by this signature; None when it bears it."""
    started = time.process_time()
    try:
        certificates_in(signature)
        report = world.judge(signature)
    except BaseException as error:  # noqa: BLE001 – an exception out is what is looked for
        return f"raised {error!r}"
    if (taken := time.process_time() - started) > SECONDS:
        return f"took {taken:.1f} s"
    if report.passed and essence(signature) not in world.essences:
        return "passed"
    if not report.passed and not report.reasons:
        return "gave no reason"
    return None


def essence(signature: bytes) -> Essence:
    """What a signature means: the signed attributes, the value, the signer's certificate. For signatures that pass."""
    admitted = gate.admit(signature)
    certificate = gate.signer_certificate(admitted)
    return admitted.signed_bytes, admitted.signer_info["signature"].native, certificate.dump()


def _token(stamps: DemoTimeStamps, message: bytes) -> bytes:
    asked = timestamps.request(gate.hashlib.sha256(message).digest())
    return timestamps.read_answer(stamps.server.answer(asked.encoded, AT), asked).encoded


# Changes of the bytes


def _flip(signature: bytes, chance: random.Random, other: bytes) -> bytes:
    changed = bytearray(signature or b"\x00")
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _set(signature: bytes, chance: random.Random, other: bytes) -> bytes:
    changed = bytearray(signature or b"\x00")
    changed[chance.randrange(len(changed))] = chance.choice((0x00, 0x01, 0x7F, 0x80, 0xFF, 0x30, 0x31, 0xA0, 0x04))
    return bytes(changed)


def _cut(signature: bytes, chance: random.Random, other: bytes) -> bytes:
    start, end = _span(signature, chance)
    return signature[:start] + signature[end:]


def _repeat(signature: bytes, chance: random.Random, other: bytes) -> bytes:
    start, end = _span(signature, chance)
    return signature[:end] + signature[start:end] * chance.choice((1, 1, 2, 50)) + signature[end:]


def _insert(signature: bytes, chance: random.Random, other: bytes) -> bytes:
    start, _ = _span(signature, chance)
    return signature[:start] + chance.randbytes(chance.randint(1, 16)) + signature[start:]


def _splice(signature: bytes, chance: random.Random, other: bytes) -> bytes:
    start, end = _span(signature, chance)
    from_start, from_end = _span(other, chance)
    return signature[:start] + other[from_start:from_end] + signature[end:]


def _span(signature: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randint(0, len(signature))
    return start, min(len(signature), start + chance.choice((1, 2, 4, 16, 64, 256)))


# Changes of the structure, with every length put right


@dataclass(frozen=True)
class Node:
    """An ASN.1 value: of others, or of bytes."""

    tag: int
    inside: tuple[Node, ...] | bytes

    @cached_property
    def encoded(self) -> bytes:
        if isinstance(self.inside, bytes):
            return _tlv(self.tag, self.inside)
        return _tlv(self.tag, *(one.encoded for one in self.inside))


@lru_cache(maxsize=64)
def _tree(encoded: bytes) -> Node:
    start, end = content(encoded)
    if encoded[0] & 0x20:
        return Node(encoded[0], tuple(_tree(encoded[slice(*whole)]) for _, _, whole in members(encoded, start, end)))
    return Node(encoded[0], encoded[start:end])


def _structured(
    change: Callable[[Node, random.Random, Node], tuple[Node, ...]],
) -> Callable[[bytes, random.Random, bytes], bytes]:
    """A change of one value somewhere inside into none, one or several."""

    def changed(signature: bytes, chance: random.Random, other: bytes) -> bytes:
        try:
            whole, donor = _tree(signature), _tree(other)
        except (DerError, IndexError, RecursionError):
            return _flip(signature, chance, other)
        while isinstance(donor.inside, tuple) and donor.inside and chance.random() < 0.8:
            donor = chance.choice(donor.inside)
        return _descend(whole, chance, lambda node: change(node, chance, donor))[0].encoded

    return changed


def _descend(node: Node, chance: random.Random, change: Callable[[Node], tuple[Node, ...]]) -> tuple[Node, ...]:
    if not isinstance(node.inside, tuple) or not node.inside:
        return change(node) or (node,)
    place = chance.randrange(len(node.inside))
    chosen = node.inside[place]
    stop = chance.random() < 0.25
    becomes = change(chosen) if stop else _descend(chosen, chance, change)
    return (replace(node, inside=(*node.inside[:place], *becomes, *node.inside[place + 1 :])),)


def _bytes_inside(node: Node, chance: random.Random, donor: Node) -> tuple[Node, ...]:
    if isinstance(node.inside, tuple):
        return (replace(node, inside=tuple(chance.sample(node.inside, len(node.inside)))),)
    return (replace(node, inside=chance.choice((_flip, _set, _cut, _insert))(node.inside, chance, b"\x00")),)


CHANGES: tuple[Callable[[bytes, random.Random, bytes], bytes], ...] = (
    *(_flip, _flip, _set, _cut, _repeat, _insert, _splice),
    _structured(lambda node, chance, donor: ()),
    _structured(lambda node, chance, donor: (node, node)),
    _structured(lambda node, chance, donor: (node,) * chance.choice((3, 40, 400))),
    _structured(lambda node, chance, donor: (donor,)),
    _structured(lambda node, chance, donor: (node, donor)),
    _structured(lambda node, chance, donor: (donor, node)),
    _structured(lambda node, chance, donor: (replace(node, tag=chance.randrange(256)),)),
    _structured(lambda node, chance, donor: (replace(node, inside=b""),)),
    _structured(lambda node, chance, donor: (Node(0x30, (node,)),)),
    _structured(_bytes_inside),
    _structured(_bytes_inside),
    _structured(_bytes_inside),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    options = parser.parse_args()
    world, chance = World.create(), random.Random(options.seed)
    assert all(world.judge(signature).passed for signature in world.signatures)
    before, cases, same, slowest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0, 0, 0.0
    verdicts: dict[str, int] = {}
    started = time.monotonic()
    while time.monotonic() - started < options.seconds:
        signature = world.spoilt(chance)
        began = time.process_time()
        report = world.judge(signature)
        slowest = max(slowest, time.process_time() - began)
        verdicts[str(report.sub_indication)] = verdicts.get(str(report.sub_indication), 0) + 1
        wrong = fault(world, signature) if report.passed or cases % 10 == 0 else None
        if wrong:
            raise SystemExit(f"seed {options.seed}, case {cases}: {wrong}: {signature.hex()}")
        cases, same = cases + 1, same + report.passed
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < MEMORY_KB, grown
    print(  # noqa: T201 – a command's result
        f"seed {options.seed}: {cases} spoilt signatures, none passed but {same} that mean the same; "
        f"slowest {slowest * 1000:.0f} ms, {grown // 1024} MB more memory; {verdicts}"
    )


if __name__ == "__main__":
    main()
