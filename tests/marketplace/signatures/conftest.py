from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from marketplace.signatures import Evidence, Policy, Report
from marketplace.signatures.authority import DEFAULT_EKU, Authority
from marketplace.signatures.sign import Credential
from marketplace.signatures.verification import verify

AT = datetime(2026, 11, 22, 10, tzinfo=UTC)
PAYLOAD = b'{"action":"bid","lot":1}'
IDENTIFIER = "TINRU-7701234567"

Judge = Callable[..., Report]


@pytest.fixture(scope="session")
def at() -> datetime:
    return AT


@pytest.fixture(scope="session")
def payload() -> bytes:
    return PAYLOAD


@pytest.fixture(scope="session")
def shared_authority() -> Authority:
    return Authority.create(AT)


@pytest.fixture
def authority(shared_authority: Authority) -> Authority:
    """An authority whose revocations this test may change."""
    return replace(shared_authority, revoked={}, issuing_revoked_at=None)


@pytest.fixture(scope="session")
def signer(shared_authority: Authority) -> Credential:
    return issue(shared_authority)


@pytest.fixture
def judge(authority: Authority) -> Judge:
    """`judge(signature)` by the strictest policy and fresh evidence; every part may be given otherwise."""

    def judge(signature: bytes, payload: bytes | None = PAYLOAD, at: datetime = AT, **policy: Any) -> Report:
        crls = policy.pop("crls", None)
        stated = {"anchors": (authority.root.der,), "eku": DEFAULT_EKU, "identifiers": frozenset({IDENTIFIER})}
        evidence = Evidence(crls=authority.crls(AT) if crls is None else crls)
        return verify(signature, payload, Policy(**(stated | policy)), at, evidence)

    return judge


def issue(authority: Authority, **wanted: Any) -> Credential:
    stated: dict[str, Any] = {
        "person": "Anna Petrova",
        "organisation": "Romashka",
        "identifiers": [IDENTIFIER],
        "at": AT - timedelta(days=30),
    }
    return authority.issue(**(stated | wanted))
