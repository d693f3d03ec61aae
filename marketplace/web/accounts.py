"""Ties to django-allauth, which does log-in, e-mail confirmation, passwords, second factors and passkeys."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sites.shortcuts import get_current_site
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace.shared import jobs
from marketplace.shared.keys import keyring
from marketplace.web import known_devices

#: What the wrapped secrets are for: one of another kind put in their place does not unwrap.
_PURPOSE: Final = "second factor"


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": _("E-mail and password do not belong together. Check both."),
        "incorrect_password": _("This is not your password."),
        "enter_current_password": _("This is not your current password."),
        "duplicate_email": _("This address is among yours already."),
        "email_taken": _("This address belongs to another account."),
        "too_many_login_attempts": _("Too many wrong attempts. Wait five minutes and try again."),
        "rate_limited": _("Too many attempts in a short time. Wait a few minutes and try again."),
    }

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Wrong passwords are counted for the account on this device, or from this address (known_devices)."""
        account = super()._get_login_attempts_cache_key(request, **credentials)
        device = known_devices.device_of(request, credentials.get("email", ""))
        return f"{account}:device:{device}" if device else f"{account}:address:{ratelimit.get_ip(request)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """On a device of their own a person is not held to the limit of a shared address."""
        if not known_devices.device_of(request, credentials.get("email", "")):
            return super().pre_authenticate(request, **credentials)
        self._login_failed_rl_usage = ratelimit.consume(
            request,
            app="allauth.account",
            action="login_failed",
            config={"login_failed": settings.LOGIN_FAILURES_ON_KNOWN_DEVICE},
            key=self._get_login_attempts_cache_key(request, **credentials),
        )
        if not self._login_failed_rl_usage:
            raise self.validation_error("too_many_login_attempts")
        return None

    def post_login(self, request: HttpRequest, user: AbstractBaseUser, **details: Any) -> HttpResponse:
        response: HttpResponse = super().post_login(request, user, **details)
        known_devices.remember(request, response, user.pk)
        return response

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People sign up through the wizard at /signup/, where registration of the organisation goes on."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Through the queue like every mail: a mail server that does not answer must not hold up a page."""
        site = get_current_site(self.request)
        known = {"request": self.request, "email": email, "current_site": site, "site_name": settings.SITE_NAME}
        message = self.render_mail(template_prefix, email, known | context)
        jobs.enqueue("marketplace.tasks.send_mail", email, message.subject, message.body)


class SecondFactorAdapter(DefaultMFAAdapter):
    """Second factors and passkeys: plain words, and secrets that a stolen database does not give away."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "add_email_blocked": _("Switch the second factor off first, then add the address."),
        "incorrect_code": _("This code is wrong, or it was used already. Wait for the next one and enter that."),
        "unverified_email": _("Confirm your e-mail address first: a link was sent to it, and can be sent again."),
    }

    def encrypt(self, text: str) -> str:
        return b64encode(keyring().wrap(text.encode(), purpose=_PURPOSE)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return keyring().unwrap(b64decode(encrypted_text), purpose=_PURPOSE).decode()

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Authenticator.Type) -> str:
        number = Authenticator.objects.filter(user_id=user.pk, type=type).count() + 1
        return gettext("My passkey") if number == 1 else gettext("Passkey %(number)d") % {"number": number}

    def _get_site_name(self) -> str:
        """What phones and password managers list the account under."""
        return settings.SITE_NAME
