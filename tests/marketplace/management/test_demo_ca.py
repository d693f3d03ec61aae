from __future__ import annotations

import stat
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from marketplace.models import RevocationList, TrustedCertificate
from marketplace.shared import clock
from marketplace.signatures import Evidence, Policy, Sub
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential, sign
from marketplace.signatures.verification import verify


def demo_ca(folder: Path, *arguments: str) -> str:
    out = StringIO()
    call_command("demo_ca", "--folder", str(folder), *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    demo_ca(tmp_path / "ca", "create")
    return tmp_path / "ca"


def test_certificate_signs_until_it_is_revoked(folder: Path) -> None:
    demo_ca(
        folder, "issue", "--person", "Anna", "--organisation", "Romashka", "--identifier", "TINRU-7701234567",
        "--password", "secret", "--out", str(folder / "anna"),
    )  # fmt: skip
    signer = Credential.from_p12((folder / "anna.p12").read_bytes(), "secret")
    now = clock.now()

    def sub_indication() -> Sub | None:
        evidence = Evidence(crls=tuple(path.read_bytes() for path in folder.glob("*.crl")))
        policy = Policy(anchors=(Authority.load(folder).root.der,), identifiers=frozenset({"TINRU-7701234567"}))
        return verify(sign(b"payload", signer, now), b"payload", policy, clock.now(), evidence).sub_indication

    assert sub_indication() == Sub.TRY_LATER
    demo_ca(folder, "crl")
    assert sub_indication() is None
    demo_ca(folder, "revoke", f"{signer.serial:X}")
    demo_ca(folder, "crl")
    assert sub_indication() == Sub.REVOKED_NO_POE


def test_keys_are_private(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_create_never_replaces_an_authority(folder: Path) -> None:
    before = (folder / "root.key.pem").read_bytes()

    with pytest.raises(CommandError, match="already"):
        demo_ca(folder, "create")

    assert (folder / "root.key.pem").read_bytes() == before


def test_without_an_authority_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="demo_ca create"):
        demo_ca(tmp_path, "crl")


@pytest.mark.django_db
def test_trust_puts_it_into_the_trust_store(folder: Path) -> None:
    demo_ca(folder, "trust")

    assert TrustedCertificate.objects.count() == 2
    assert RevocationList.objects.count() == 2


@pytest.mark.django_db
def test_production_never_trusts_it(folder: Path, settings: Settings) -> None:
    settings.PRODUCTION = True

    with pytest.raises(CommandError, match="not trusted in production"):
        demo_ca(folder, "trust")

    assert TrustedCertificate.objects.count() == 0
