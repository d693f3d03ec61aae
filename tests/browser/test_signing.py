"""Signing in a real browser with every kind of key file, judged by OpenSSL and by our own engine."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import expect

from marketplace.signatures import Evidence, Policy, verify_bounded
from marketplace.signatures.authority import DEFAULT_EKU, Authority, KeyType
from marketplace.signatures.sign import Credential
from tests.browser.desk import Desk, open_desk
from tests.browser.key_files import (
    NEW,
    OLD,
    TRIPLE_DES_IN_PBES2,
    KeyFile,
    by_old_python,
    by_openssl,
    of_indefinite_length,
    of_several,
    without_certificate,
    without_key,
)
from tests.browser.people import Visitor
from tests.factories.marketplace import NOON
from tests.factories.signatures import authority
from tests.patience import PATIENCE_S

BUTTON = re.compile("Sign and cancel|^Sign")
PASSWORD = "correct horse"
# Composed and decomposed: what looks the same is typed as one character here and as two there.
CAFE, CAFE_IN_PARTS = "caf\u00e9", "cafe\u0301"


@pytest.fixture
def desk(visit: Callable[..., Visitor], freeze: Callable[..., Any], live_server: Any) -> Desk:
    freeze(NOON)
    return open_desk(visit("bert", locale="en-GB"), live_server.url)


def certificate(identifiers: list[str], **options: Any) -> Credential:
    told = {"person": "Bert Clerk", "organisation": "Townhall AG", "at": NOON - timedelta(days=1)}
    return authority().issue(**(told | options), identifiers=identifiers)  # type: ignore[arg-type]


def files_that_sign(identifiers: list[str], folder: Path) -> list[KeyFile]:
    kinds: list[KeyType] = ["rsa-2048", "rsa-3072", "p256", "p384"]
    of = {kind: certificate(identifiers, key_type=kind) for kind in kinds}
    found = []
    for kind, one in of.items():
        found.append(KeyFile(f"{kind} new", by_openssl(one, PASSWORD, NEW, folder), PASSWORD, one))
        found.append(KeyFile(f"{kind} old", by_openssl(one, PASSWORD, OLD, folder), PASSWORD, one))
    one = of["p256"]
    for age, how in (("new", NEW), ("old", OLD)):
        for saved, typed in (
            ("пароль № 1", "пароль № 1"),
            ("key🔑 и 鍵", "key🔑 и 鍵"),
            (CAFE, CAFE_IN_PARTS),
            (CAFE_IN_PARTS, CAFE),
            ("", ""),
        ):
            name = f"{age}, password {len(found)}"
            found.append(KeyFile(name, by_openssl(one, saved, how, folder), typed, one))
    rsa = of["rsa-2048"]
    return [
        *found,
        KeyFile("of the demonstration", rsa.p12(PASSWORD), PASSWORD, rsa),
        KeyFile("old, by Python", by_old_python(rsa, PASSWORD), PASSWORD, rsa),
        KeyFile("triple DES in PBES2", by_openssl(one, PASSWORD, TRIPLE_DES_IN_PBES2, folder), PASSWORD, one),
        KeyFile("without lengths", of_indefinite_length(by_openssl(rsa, PASSWORD, NEW, folder)), PASSWORD, rsa),
        KeyFile("old, without lengths", of_indefinite_length(by_openssl(rsa, PASSWORD, OLD, folder)), PASSWORD, rsa),
    ]


def test_every_kind_of_key_file_makes_a_signature_that_openssl_and_the_engine_pass(desk: Desk, tmp_path: Path) -> None:
    payload = bytes(desk.request.payload)
    wrong = []
    for file in files_that_sign(desk.identifiers, tmp_path):
        signature = desk.signs(file)
        report = verify_bounded(signature, payload, policy(desk.identifiers), NOON, evidence())
        if not report.passed or report.signer is None or report.signer.certificate != file.credential.der:
            wrong.append(f"{file.name}: the engine says {report.sub_indication}: {report.reasons}")
        elif report.signed_at is None or abs(report.signed_at - NOON) > timedelta(hours=1):
            wrong.append(f"{file.name}: signed at {report.signed_at}, by the machine's clock instead of the server's")
        if said := openssl_complains(signature, payload, tmp_path):
            wrong.append(f"{file.name}: OpenSSL says {said}")
    assert wrong == []


def policy(identifiers: list[str]) -> Policy:
    return Policy(anchors=(authority().root.der,), eku=DEFAULT_EKU, identifiers=frozenset(identifiers))


def evidence() -> Evidence:
    return Evidence(crls=authority().crls(NOON - timedelta(days=1)))


def openssl_complains(signature: bytes, payload: bytes, folder: Path) -> str:
    """What `openssl cms -verify -cades` has against the signature, if anything."""
    root = authority().root.certificate.public_bytes(serialization.Encoding.PEM)
    for name, content in (("p.json", payload), ("s.p7s", signature), ("root.pem", root)):
        (folder / name).write_bytes(content)
    command = (
        "openssl cms -verify -cades -binary -inform DER -in s.p7s -content p.json -CAfile root.pem -purpose any "
        f"-attime {int(NOON.timestamp())} -out verified"
    )
    done = subprocess.run(command.split(), cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S)
    if done.returncode:
        return done.stderr
    return "" if (folder / "verified").read_bytes() == payload else "another content"


def test_what_cannot_sign_is_said_in_plain_words_beside_its_field(desk: Desk, tmp_path: Path) -> None:
    good = certificate(desk.identifiers)
    new, old = (by_openssl(good, PASSWORD, how, tmp_path) for how in (NEW, OLD))
    expired = certificate(desk.identifiers, at=NOON - timedelta(days=400))
    later = certificate(desk.identifiers, at=NOON + timedelta(days=2))
    other = certificate(["VATDE-811569869"], organisation="Südwand GmbH")
    edward = certificate(desk.identifiers, key_type="ed25519")
    rc4 = by_openssl(
        good, PASSWORD, ("-legacy", "-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC4-128"), tmp_path
    )
    wrong = "Wrong password. It is the one chosen when the key file was made."
    damaged = "This is not a key file, or it is damaged."
    for name, content, password, at, words in (
        ("wrong password, new", new, "not it", "password", wrong),
        ("wrong password, old", old, "not it", "password", wrong),
        ("wrong password with umlauts, new", new, "nicht däs", "password", wrong),
        ("wrong password with umlauts, old", old, "nicht däs", "password", wrong),
        ("no password, new", new, "", "password", "Enter the password of the key file."),
        ("no password, old", old, "", "password", "Enter the password of the key file."),
        ("no key", without_key(good, PASSWORD), PASSWORD, "file", "There is no private key in this file."),
        ("no certificate", without_certificate(good, PASSWORD), PASSWORD, "file", "a key without its certificate"),
        ("certificate only", good.der, PASSWORD, "file", "This is a certificate without its private key."),
        ("text", good.pem + good.key_pem(), PASSWORD, "file", "This is a PEM file."),
        ("picture", b"\x89PNG\r\n\x1a\n" + bytes(5000), PASSWORD, "file", damaged),
        ("empty", b"", PASSWORD, "file", damaged),
        ("truncated, new", new[:-30], PASSWORD, "file", damaged),
        ("truncated, old", old[: len(old) // 2], PASSWORD, "file", damaged),
        ("too large", new + bytes(256 * 1024), PASSWORD, "file", "This file is too large to be a key file"),
        ("expired", expired.p12(PASSWORD), PASSWORD, "file", "This certificate expired on January 26, 2026."),
        ("not yet", later.p12(PASSWORD), PASSWORD, "file", "This certificate is not valid before March 4, 2026."),
        ("other", other.p12(PASSWORD), PASSWORD, "file", "This certificate belongs to Südwand GmbH (VATDE-811569869)"),
        ("kind of key", edward.p12(PASSWORD), PASSWORD, "file", "A browser cannot sign with this kind of key."),
        ("RC4", rc4, PASSWORD, "file", "This file is protected in a way that a browser cannot undo."),
    ):
        desk.gives(name, content, password)
        desk.presses()
        said = desk.page.locator(f'[data-sign-error="{at}"]')
        expect(said, name).to_contain_text(words)
        field = desk.page.locator(f"[data-sign-{at}]")
        expect(field, name).to_have_attribute("aria-invalid", "true")
        expect(field, name).to_be_focused()
        expect(desk.page.locator("[data-sign-error]:not([hidden])"), name).to_have_count(1)
        desk.visitor.picture(f"refused-{name}")
    assert desk.sent == []
    assert desk.signs(KeyFile("good again", new, PASSWORD, good))


def test_a_file_of_gigabytes_is_refused_without_being_read(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "huge.p12"
    with path.open("wb") as huge:
        huge.truncate(3 * 1024**3)
    desk.page.get_by_label("Key file (.p12 or .pfx)").set_input_files(path)
    desk.presses()
    expect(desk.page.locator('[data-sign-error="file"]')).to_contain_text("too large to be a key file")


def test_of_several_keys_in_a_file_the_person_chooses(desk: Desk, tmp_path: Path) -> None:
    stranger = certificate(["VATDE-811569869"], organisation="Südwand GmbH", person="Bert Clerk")
    own = certificate(desk.identifiers, person="Bert Clerk", key_type="rsa-2048")
    file = KeyFile("several", of_several(PASSWORD, [stranger, own], tmp_path), PASSWORD, own)
    page = desk.page
    desk.gives(file.name, file.content, PASSWORD)
    desk.presses()
    choice = page.get_by_role("group", name="Sign with")
    expect(choice.get_by_role("radio")).to_have_count(2)
    expect(choice.get_by_label("Südwand GmbH · VATDE-811569869 · issued by Test Issuing CA")).to_be_focused()
    desk.visitor.picture("several-keys")
    desk.presses()
    assert desk.sent == []  # nothing is chosen yet

    page.keyboard.press("Space")
    desk.presses()
    expect(page.locator('[data-sign-error="file"]')).to_contain_text("This certificate belongs to Südwand GmbH")
    choice.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowDown")
    expect(choice.get_by_label(f"Townhall AG · {desk.identifiers[0]}")).to_be_checked()
    signature = desk.sends(file)

    report = verify_bounded(signature, bytes(desk.request.payload), policy(desk.identifiers), NOON, evidence())
    assert report.passed, report.reasons
    assert report.signer is not None
    assert report.signer.certificate == own.der


def test_the_person_sees_what_they_sign_to_the_byte(desk: Desk) -> None:
    page = desk.page
    said = page.get_by_role("region", name="What you sign")
    for words in (
        "the cancellation of a published procedure",
        desk.identifiers[0],
        "The chairs are not needed any more",
        "Sign until",
    ):
        expect(said).to_contain_text(words)
    said.get_by_text("Show the exact bytes").click()
    assert said.locator("pre").text_content() == bytes(desk.request.payload).decode()
    expect(said).to_contain_text(desk.request.payload_sha256)
    desk.visitor.picture("what-is-signed")
    with page.expect_download() as download:
        page.get_by_text("Or sign elsewhere and upload the signature").click()
        page.get_by_role("link", name="payload.json").click()
    assert Path(download.value.path()).read_bytes() == bytes(desk.request.payload)


def test_a_page_that_would_sign_something_else_does_not(desk: Desk, tmp_path: Path) -> None:
    another = base64.b64encode(b'{"action":"award"}').decode()
    desk.page.evaluate("it => { document.querySelector('form[data-sign]').dataset.payload = it }", another)
    one = certificate(desk.identifiers)
    desk.gives("good", one.p12(PASSWORD), PASSWORD)
    desk.presses()
    desk.visitor.is_refused("What this page would sign is not what the server prepared. Load the page again.")
    assert desk.sent == []


def test_a_certificate_of_an_unknown_authority_is_refused_by_the_server_and_the_page_signs_again(
    desk: Desk, tmp_path: Path
) -> None:
    desk.page.unroute_all()
    stranger = Authority.create(NOON, name="Unknown")
    one = stranger.issue(person="Bert", organisation="Townhall AG", identifiers=desk.identifiers, at=NOON)
    desk.gives("stranger", one.p12(PASSWORD), PASSWORD)
    desk.presses()
    desk.visitor.is_refused("The certificate was not issued by an authority this platform trusts.")
    desk.visitor.picture("refused-by-the-server")
    desk.gives("good", certificate(desk.identifiers).p12(PASSWORD), PASSWORD)
    desk.presses()
    desk.visitor.sees("cancelled")
