"""Logging in and out, a forgotten password, another e-mail: allauth tied to our people and our queue of mail."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client, TestCase

from marketplace.models import AuditRecord, Person
from tests.factories.marketplace import PASSWORD, PersonFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna() -> Person:
    person: Person = PersonFactory.create(email="anna@acme.example")
    EmailAddress.objects.create(user=person, email=person.email, primary=True, verified=True)
    return person


def link_in_mail(path: str) -> str:
    found = re.search(rf"https?://[^/\s]+(/{path}\S+)", str(mail.outbox[-1].body))
    assert found, mail.outbox[-1].body
    return found.group(1)


def log_in(client: Client, email: str, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"login": email, "password": password})


def test_one_logs_in_by_email_in_any_case_and_out_by_a_button(client: Client, anna: Person) -> None:
    assert log_in(client, "Anna@Acme.example")["Location"] == "/"
    assert client.get("/account/").status_code == 200
    # A link alone logs nobody out.
    client.get("/accounts/logout/")
    assert client.get("/account/").status_code == 200
    assert client.post("/accounts/logout/")["Location"] == "/"
    assert client.get("/account/").status_code == 302


def test_a_wrong_password_does_not_say_whether_the_account_exists(client: Client, anna: Person) -> None:
    known = log_in(client, "anna@acme.example", "wrong").context["form"].errors
    unknown = log_in(client, "nobody@acme.example", "wrong").context["form"].errors
    assert known == unknown
    assert known


def test_who_asked_for_a_page_gets_it_after_the_log_in(client: Client, anna: Person) -> None:
    login_page = client.get("/signup/company/")["Location"]
    answer = client.post(login_page, {"login": anna.email, "password": PASSWORD, "next": "/signup/company/"})
    assert answer["Location"] == "/signup/company/"


def test_a_forgotten_password_is_reset_by_mail(client: Client, anna: Person) -> None:
    with TestCase.captureOnCommitCallbacks(execute=True):
        client.post("/accounts/password/reset/", {"email": anna.email})
    form = client.get(link_in_mail("accounts/password/reset/key/"), follow=True)
    new = {"password1": "a wholly new secret", "password2": "a wholly new secret"}
    client.post(form.redirect_chain[-1][0], new)
    assert log_in(Client(), anna.email, "a wholly new secret")["Location"] == "/"
    assert log_in(Client(), anna.email).status_code == 200


def test_another_email_takes_over_once_it_is_confirmed(client: Client, anna: Person) -> None:
    client.force_login(anna)
    with TestCase.captureOnCommitCallbacks(execute=True):
        client.post("/accounts/email/", {"action_add": "", "email": "berg@acme.example"})
    assert mail.outbox[-1].to == ["berg@acme.example"]
    client.post(link_in_mail("accounts/confirm-email/"))
    client.post("/accounts/email/", {"action_primary": "", "email": "berg@acme.example"})
    anna.refresh_from_db()
    assert anna.email == "berg@acme.example"
    assert log_in(Client(), "berg@acme.example")["Location"] == "/"


def test_the_sign_up_of_the_library_leads_to_ours(client: Client) -> None:
    assert client.get("/accounts/signup/")["Location"] == "/signup/"


@pytest.mark.parametrize("path", ["/accounts/2fa/", "/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/"])
def test_second_factors_can_be_set_up(client: Client, anna: Person, path: str) -> None:
    log_in(client, anna.email)
    assert client.get(path, follow=True).status_code == 200


def test_a_second_factor_that_was_lost_is_removed_at_the_machine(anna: Person) -> None:
    TOTP.activate(anna, generate_totp_secret())
    RecoveryCodes.activate(anna)
    with pytest.raises(CommandError, match="Say how you know"):
        call_command("remove_second_factor", anna.email, " ")
    assert Authenticator.objects.filter(user=anna).count() == 2
    call_command("remove_second_factor", anna.email, "Called back at the number of her company", stdout=io.StringIO())
    assert not Authenticator.objects.filter(user=anna).exists()
    record = AuditRecord.objects.get(action="second_factor_removed")
    assert record.details["removed"] == ["recovery_codes", "totp"]
