from __future__ import annotations

import stat
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from cryptography import x509
from django.core.management import CommandError, call_command
from pytest_django import Settings

from marketplace.management.commands.demo_ca import Publisher, enter_addresses
from marketplace.models import RevocationList, RevocationSource, SignatureStamp, TrustedCertificate, TrustKind
from marketplace.services import revocation_sources, timestamps
from marketplace.shared import clock, outbound
from marketplace.signatures import Evidence, Policy, Sub
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential, sign
from marketplace.signatures.verification import verify
from tests.factories import signatures


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


@pytest.fixture
def publisher(folder: Path) -> Iterator[Publisher]:
    with Publisher(folder, 0) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_lists_are_published_until_somebody_is_revoked(folder: Path, publisher: Publisher) -> None:
    def fetched(**headers: str) -> outbound.Answer:
        url = f"{publisher.url}/issuing.crl"
        return outbound.fetch(url, most_bytes=10_000, seconds=5, headers=headers, private=True)

    first = fetched()
    assert fetched(**{"If-None-Match": first.headers["etag"]}).status == 304
    demo_ca(folder, "revoke", "2A")
    second = fetched(**{"If-None-Match": first.headers["etag"]})

    assert [len(x509.load_der_x509_crl(answer.body)) for answer in (first, second)] == [0, 1]
    with pytest.raises(outbound.OutboundError, match="404"):
        outbound.fetch(f"{publisher.url}/other.crl", most_bytes=10, seconds=5, private=True)


@pytest.mark.django_db
def test_a_platform_that_trusts_the_authority_fetches_its_lists_from_it(
    folder: Path, publisher: Publisher, settings: Settings
) -> None:
    settings.REVOCATION_PRIVATE_ADDRESSES = True
    authority = Authority.load(folder)
    enter_addresses(authority, publisher.url)
    assert RevocationSource.objects.count() == 0

    demo_ca(folder, "trust")
    RevocationList.objects.all().delete()
    enter_addresses(authority, "http://127.0.0.1:1")
    enter_addresses(authority, publisher.url)
    enter_addresses(authority, publisher.url)

    sources = list(RevocationSource.objects.order_by("url").values_list("url", flat=True))
    assert sources == [f"{publisher.url}/issuing.crl", f"{publisher.url}/root.crl"]
    for source in RevocationSource.objects.all():
        assert revocation_sources.refresh(source.pk, at=clock.now())
    assert RevocationList.objects.filter(is_current=True).count() == 2


def test_it_serves_nothing_in_production(folder: Path, settings: Settings) -> None:
    settings.PRODUCTION = True

    with pytest.raises(CommandError, match="production"):
        demo_ca(folder, "serve", "--port", "0")


@pytest.mark.django_db
def test_the_time_stamp_authority_is_made_once_and_trusted(folder: Path, settings: Settings, tmp_path: Path) -> None:
    settings.TIMESTAMP_LOCAL_DIR, settings.TIMESTAMP_AUTHORITY_URLS = tmp_path / "tsa", ["local:"]
    signatures.trust()
    forgotten = signatures.taken()
    SignatureStamp.objects.all().delete()
    demo_ca(folder, "time-stamps")
    key = (tmp_path / "tsa" / "tsa.key.pem").read_bytes()

    demo_ca(folder, "time-stamps")

    assert (tmp_path / "tsa" / "tsa.key.pem").read_bytes() == key
    assert stat.S_IMODE((tmp_path / "tsa" / "tsa.key.pem").stat().st_mode) == 0o600
    assert TrustedCertificate.objects.filter(kind=TrustKind.TSA).count() == 1
    assert timestamps.stamp(bytes(32))
    assert SignatureStamp.objects.get().pk == forgotten.pk
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="not trusted in production"):
        demo_ca(folder, "time-stamps")
