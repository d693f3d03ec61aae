"""How many signatures are verified in a second: the engine beside pyHanko alone, in the same run on the same files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

from asn1crypto import cms, crl, x509
from pyhanko.sign.validation import async_validate_detached_cms
from pyhanko_certvalidator import ValidationContext

from marketplace.management.benching import Run
from marketplace.signatures import Evidence, Policy, certificates_in, lists, verify_bounded
from marketplace.signatures.authority import DEFAULT_EKU, Authority
from marketplace.signatures.sign import Credential, sign
from marketplace.signatures.verification import forget, verify

MANY = 100_000
_SIGNERS, _SIGNATURES = 8, 64
_IDENTIFIER = "TINXX-7701234567"


@dataclass(frozen=True)
class Case:
    """Signatures of several people with their payloads, and the lists of the authority that issued to them."""

    signatures: list[tuple[bytes, bytes]]
    authority: Authority
    policy: Policy
    crls: tuple[bytes, ...]
    at: datetime


def measure(run: Run) -> dict[str, Any]:
    """Rates in verifications per second: of processor time for one core, of wall time where a process hop is in it.

    The run's seconds are spent on each figure, in turns.
    """
    at, seconds = run.at, run.seconds
    run.say("Signatures by 8 people with P-256 keys, two lists; each figure in turn with pyHanko alone.")
    small, large = _case(at, 10), _case(at, MANY)
    figures = _beside(small, seconds)
    run.say(_line("lists of 10 entries", figures))
    big = _beside(large, seconds)
    run.say(_line(f"a list of {MANY:,} entries", big))
    hop = {
        "wall_per_second": round(_rate(_bounded(small, Evidence(crls=small.crls)), seconds, time.perf_counter)),
        "wall_per_second_indexed": round(_rate(_bounded(large, _indexed(large)), seconds, time.perf_counter)),
    }
    run.say(
        f"with the process hop: {hop['wall_per_second']}/s; of {MANY:,} entries: {hop['wall_per_second_indexed']}/s"
    )
    first = round(_rate(_ours(small, remembering=False), seconds, time.process_time))
    run.say(f"nothing remembered: {first}/s")
    return {
        "bench": "signatures",
        "unit": "verifications per second per core, with revocation lists",
        **figures,
        "large_list": {"entries": MANY, **big},
        "verify_bounded": hop,
        "first_time": first,
    }


def _case(at: datetime, entries: int) -> Case:
    authority = Authority.create(at)
    authority.revoked = {serial: at - timedelta(days=1) for serial in range(10**12, 10**12 + entries)}
    signers = [_signer(authority, number, at) for number in range(_SIGNERS)]
    payloads = [f'{{"bid":{number}}}'.encode() for number in range(_SIGNATURES)]
    signatures = [
        (sign(payload, signer, at), payload) for payload, signer in zip(payloads, cycle(signers), strict=False)
    ]
    policy = Policy(anchors=(authority.root.der,), eku=DEFAULT_EKU, identifiers=frozenset({_IDENTIFIER}))
    return Case(signatures, authority, policy, authority.crls(at), at)


def _signer(authority: Authority, number: int, at: datetime) -> Credential:
    return authority.issue(
        person=f"Person {number}", organisation="Bench", identifiers=[_IDENTIFIER], at=at - timedelta(days=1)
    )


def _beside(case: Case, seconds: float) -> dict[str, Any]:
    """In turns, so that whatever else the machine does falls on both."""
    alone, ours = _pyhanko(case), _ours(case)
    next(alone), next(ours)
    limits, products = [], []
    for _ in range(4):
        limits.append(_rate(alone, seconds / 4, time.process_time))
        products.append(_rate(ours, seconds / 4, time.process_time))
    limit, product = sorted(limits)[2], sorted(products)[1]  # pyHanko's better half, our worse one
    return {"limit": round(limit, 1), "product": round(product, 1), "ratio": round(product / limit, 2)}


def _rate(work: Iterator[None], seconds: float, clock: Callable[[], float]) -> float:
    next(work)
    started, done = clock(), 0
    while (passed := clock() - started) < seconds or done < 3:
        next(work)
        done += 1
    return done / passed if passed else float(done)


def _ours(case: Case, *, remembering: bool = True) -> Iterator[None]:
    evidence = Evidence(crls=case.crls)
    for signature, payload in cycle(case.signatures):
        if not remembering:
            forget()
        assert verify(signature, payload, case.policy, case.at, evidence).passed
        yield


def _bounded(case: Case, evidence: Evidence) -> Iterator[None]:
    for signature, payload in cycle(case.signatures):
        assert verify_bounded(signature, payload, case.policy, case.at, evidence).passed
        yield


def _indexed(case: Case) -> Evidence:
    """As the platform does it: from its index it takes the serial numbers of the certificates in question."""
    serials = {one.serial for signature, _ in case.signatures for one in certificates_in(signature)}
    issuers = (case.authority.root, case.authority.issuing)
    found = [lists.read(der).indexed(issuer.der, serials) for der, issuer in zip(case.crls, issuers, strict=True)]
    return Evidence(lists=tuple(found))


def _pyhanko(case: Case) -> Iterator[None]:
    """pyHanko alone at its best: anchors and lists are parsed before; only what belongs to one signature is not."""
    anchors = [x509.Certificate.load(der) for der in case.policy.anchors]
    revocation = [crl.CertificateList.load(der) for der in case.crls]
    for signature, payload in cycle(case.signatures):
        context = ValidationContext(
            trust_roots=anchors,
            moment=case.at,
            best_signature_time=case.at,
            allow_fetching=False,
            crls=revocation,
            revocation_mode="require",
        )
        signed = cms.ContentInfo.load(signature)["content"]
        status = asyncio.run(async_validate_detached_cms(payload, signed, signer_validation_context=context))
        assert status.trusted
        assert status.intact
        assert status.valid
        yield


def _line(name: str, figures: dict[str, Any]) -> str:
    return f"{name}: pyHanko alone {figures['limit']}/s, Openlot {figures['product']}/s, {figures['ratio']} times"
