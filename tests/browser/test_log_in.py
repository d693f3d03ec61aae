"""How people log in: by passkey, and by password with a second factor."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core.cache import cache
from playwright.sync_api import expect

from marketplace.models import Person
from tests.browser.people import Visitor
from tests.factories.marketplace import PASSWORD, PersonFactory

ANNA = "anna@nordwand.example"
# The clock of codes, held still: a test that takes long must not meet the next code.
PERIOD, NOW = 30, 1_772_452_810


@pytest.fixture(autouse=True)
def _clock_of_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    monkeypatch.setattr(totp, "time", SimpleNamespace(time=lambda: float(NOW)))


def _person() -> Person:
    person: Person = PersonFactory.create(email=ANNA, full_name="Anna Berg")
    EmailAddress.objects.create(user=person, email=ANNA, primary=True, verified=True)
    return person


def _plug_in_authenticator(visitor: Visitor) -> None:
    """A device with a fingerprint reader that always agrees."""
    session = visitor.page.context.new_cdp_session(visitor.page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


def _logs_out(visitor: Visitor) -> None:
    visitor.page.get_by_label("Anna Berg").or_(visitor.page.locator("summary", has_text="Anna Berg")).first.click()
    visitor.presses("Log out")
    visitor.follows("Log in")


def _proves_it_is_her(visitor: Visitor) -> None:
    visitor.reads_title("Is it you?")
    visitor.page.get_by_label("Password", exact=True).fill(PASSWORD)
    visitor.presses("Go on")


def test_a_passkey_is_added_opens_the_account_and_is_removed(visit: Callable[..., Visitor]) -> None:
    person = _person()
    anna = visit("passkey", reduced_motion="reduce")
    anna.logs_in(ANNA)
    _plug_in_authenticator(anna)
    anna.goes_to("/accounts/2fa/")
    anna.pictures_in_every_look("overview-empty")
    anna.follows("Add a passkey")
    anna.pictures_in_every_look("is-it-you")
    anna.page.get_by_label("Password", exact=True).fill("not hers")
    anna.presses("Go on")
    anna.is_refused("Please correct what is marked.")
    anna.sees("This is not your password.")
    anna.picture("wrong-password")
    _proves_it_is_her(anna)

    anna.reads_title("Add a passkey")
    anna.pictures_in_every_look("add")
    anna.page.get_by_label("Name").fill("Office laptop")
    expect(anna.page.get_by_label("Log in with it alone, without a password")).to_be_checked()
    anna.presses("Make the passkey")
    anna.reads_title("Recovery codes")
    anna.is_told("The passkey is added.")
    expect(anna.page.get_by_role("list", name="Unused codes").get_by_role("listitem")).to_have_count(10)
    anna.pictures_in_every_look("recovery-codes")
    with anna.page.expect_download() as download:
        anna.follows("Download them")
    assert len(download.value.path().read_text().split()) == 10
    anna.follows("Done, they are kept")
    anna.sees("You have 1 passkey or security key.")
    anna.pictures_in_every_look("overview")

    _logs_out(anna)
    anna.pictures_in_every_look("log-in")
    anna.presses("Log in with a passkey")
    expect(anna.page.get_by_role("heading", name="Hello")).to_be_visible()
    assert Authenticator.objects.get(user=person, type=Authenticator.Type.WEBAUTHN).last_used_at is not None

    # With the passkey alone there is no code to type: the password leads to the device.
    _logs_out(anna)
    anna.page.get_by_label("E-mail").fill(ANNA)
    anna.page.get_by_label("Password", exact=True).fill(PASSWORD)
    anna.presses("Log in", within=anna.page.get_by_role("main"))
    anna.reads_title("Second step")
    anna.pictures_in_every_look("second-step")
    anna.presses("Use a passkey or security key")
    expect(anna.page.get_by_role("heading", name="Hello")).to_be_visible()

    anna.goes_to("/account/security/")
    anna.follows("Passkeys and security keys")
    anna.sees("log-in without a password")
    anna.pictures_in_every_look("list")
    anna.follows(re.compile("^Rename"))
    anna.reads_title("Is it you?")
    anna.follows("Use a passkey or security key")
    anna.pictures_in_every_look("is-it-you-by-passkey")
    anna.presses("Use a passkey or security key")
    anna.page.get_by_label("Name").fill("Laptop in the office")
    anna.picture("rename")
    anna.presses("Save")
    anna.sees("Laptop in the office")
    anna.follows(re.compile("^Remove"))
    anna.reads_title("Remove Laptop in the office?")
    anna.pictures_in_every_look("remove")
    anna.presses("Remove")
    anna.is_told("The passkey is removed.")
    anna.sees("No passkeys yet")
    anna.pictures_in_every_look("list-empty")
    assert not Authenticator.objects.filter(user=person).exists()

    # The device still has it; here it opens nothing any more.
    _logs_out(anna)
    anna.presses("Log in with a passkey")
    anna.is_told("This passkey is not known here")
    anna.picture("removed-passkey")


def test_a_device_without_the_passkey_is_told_so(visit: Callable[..., Visitor]) -> None:
    _person()
    anna = visit("no-passkey")
    _plug_in_authenticator(anna)
    anna.goes_to("/accounts/login/")
    anna.presses("Log in with a passkey")
    anna.is_told("Nothing was confirmed")
    anna.picture("nothing-confirmed")


def test_a_code_of_the_phone_is_asked_for_after_the_password(visit: Callable[..., Visitor]) -> None:
    person = _person()
    anna = visit("second-factor", reduced_motion="reduce")
    anna.logs_in(ANNA)
    anna.goes_to("/accounts/2fa/")
    anna.follows("Set up an authenticator app")
    _proves_it_is_her(anna)
    anna.reads_title("Set up an authenticator app")
    anna.pictures_in_every_look("set-up")
    secret = anna.page.get_by_label("Key for the app").input_value()
    field = anna.page.get_by_label("The code that the app shows now")
    field.fill("000 000" if _code(secret) != "000000" else "000 001")
    anna.presses("Switch it on")
    anna.sees("This code is wrong, or it was used already.")
    anna.pictures_in_every_look("set-up-wrong-code")
    assert anna.page.get_by_label("Key for the app").input_value() == secret
    activation = _code(secret, ahead=-1)
    field.fill(f"{activation[:3]} {activation[3:]}")
    anna.presses("Switch it on")
    anna.reads_title("Recovery codes")
    anna.is_told("The authenticator app is switched on.")
    recovery = anna.page.get_by_role("list", name="Unused codes").get_by_role("listitem").first.inner_text()
    stored = Authenticator.objects.get(user=person, type=Authenticator.Type.TOTP).data["secret"]
    assert secret not in stored

    code = _code(secret)
    _asked_for_a_code(anna)
    anna.pictures_in_every_look("code")
    for wrong in ("123456" if code != "123456" else "123457", activation):
        anna.page.get_by_label("Code").fill(wrong)
        anna.presses("Log in", within=anna.page.get_by_role("main"))
        anna.sees("This code is wrong, or it was used already. Wait for the next one and enter that.")
    anna.pictures_in_every_look("wrong-code")
    anna.page.get_by_label("Code").fill(code)
    anna.presses("Log in", within=anna.page.get_by_role("main"))
    expect(anna.page.get_by_role("heading", name="Hello")).to_be_visible()

    _asked_for_a_code(anna)
    for used in (code, f"{code[:3]}-{code[3:]}"):
        anna.page.get_by_label("Code").fill(used)
        anna.presses("Log in", within=anna.page.get_by_role("main"))
        anna.sees("This code is wrong, or it was used already. Wait for the next one and enter that.")
    anna.page.get_by_label("Code").fill(recovery)
    anna.presses("Log in", within=anna.page.get_by_role("main"))
    expect(anna.page.get_by_role("heading", name="Hello")).to_be_visible()

    _asked_for_a_code(anna)
    anna.page.get_by_label("Code").fill(recovery)
    anna.presses("Log in", within=anna.page.get_by_role("main"))
    anna.sees("This code is wrong, or it was used already.")
    anna.page.get_by_label("Code").fill(_code(secret, ahead=1))
    anna.presses("Log in", within=anna.page.get_by_role("main"))
    expect(anna.page.get_by_role("heading", name="Hello")).to_be_visible()

    anna.goes_to("/accounts/2fa/")
    anna.sees("9 of 10 codes are left.")
    anna.pictures_in_every_look("overview")
    anna.follows("Make new codes")
    _proves_it_is_her(anna)
    anna.pictures_in_every_look("new-codes")
    anna.presses("Make new codes")
    anna.sees("10 of 10 are unused.")
    anna.follows("Done, they are kept")
    anna.follows("Switch it off")
    anna.pictures_in_every_look("switch-off")
    anna.presses("Switch it off")
    anna.is_told("The authenticator app is switched off.")
    assert not Authenticator.objects.filter(user=person).exists()


def test_the_other_pages_of_the_account(visit: Callable[..., Visitor]) -> None:
    person = _person()
    EmailAddress.objects.create(user=person, email="anna@home.example", primary=False, verified=True)
    EmailAddress.objects.create(user=person, email="berg@home.example", primary=False, verified=False)
    anna = visit("account", reduced_motion="reduce")
    anna.logs_in(ANNA)
    for name, url in (
        ("security", "/account/security/"),
        ("email", "/accounts/email/"),
        ("log-out", "/accounts/logout/"),
    ):
        anna.goes_to(url)
        anna.pictures_in_every_look(name)
    anna.goes_to("/accounts/password/change/")
    anna.page.get_by_label("Present password").fill("not hers")
    anna.page.get_by_label("New password", exact=True).fill("short")
    anna.page.get_by_label("New password once more").fill("short")
    anna.presses("Change it")
    anna.sees("This is not your current password.")
    anna.pictures_in_every_look("password")
    # An address that is not confirmed: no second factor yet, and the page says what to do.
    anna.goes_to("/accounts/2fa/totp/activate/")
    anna.is_told("Confirm your e-mail address first")
    anna.picture("not-confirmed")


def _code(secret: str, ahead: int = 0) -> str:
    return totp.format_hotp_value(totp.hotp_value(secret, NOW // PERIOD + ahead))


def _asked_for_a_code(visitor: Visitor) -> None:
    _logs_out(visitor)
    visitor.page.get_by_label("E-mail").fill(ANNA)
    visitor.page.get_by_label("Password", exact=True).fill(PASSWORD)
    visitor.presses("Log in", within=visitor.page.get_by_role("main"))
    visitor.reads_title("Second step")
