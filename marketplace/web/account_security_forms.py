"""The forms of log-in, second factor and passkeys: allauth's, in our words, with codes that serve once."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Any

from allauth.account.forms import AddEmailForm as AllauthAddEmailForm
from allauth.account.forms import ChangePasswordForm as AllauthChangePasswordForm
from allauth.account.forms import LoginForm as AllauthLoginForm
from allauth.account.forms import ReauthenticateForm as AllauthPasswordAgainForm
from allauth.account.forms import ResetPasswordForm as AllauthResetPasswordForm
from allauth.account.forms import ResetPasswordKeyForm as AllauthResetPasswordKeyForm
from allauth.mfa import app_settings as mfa
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm as AllauthAuthenticateForm
from allauth.mfa.base.forms import BaseAuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as AllauthReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm as AllauthActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm, EditWebAuthnForm, LoginWebAuthnForm
from django import forms
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


def _plain(form: forms.Form, **labels: Any) -> None:
    """Our labels, and no placeholders: a label that vanishes while one types is no label."""
    for field in form.fields.values():
        field.widget.attrs.pop("placeholder", None)
    for name, label in labels.items():
        form.fields[name].label = label


class LoginForm(AllauthLoginForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self, login=_("E-mail"))
        # Password managers look for this.
        self.fields["login"].widget.attrs["autocomplete"] = "username"


class ResetPasswordForm(AllauthResetPasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self, email=_("E-mail"))


class ResetPasswordKeyForm(AllauthResetPasswordKeyForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self, password1=_("New password"), password2=_("New password once more"))


class ChangePasswordForm(AllauthChangePasswordForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = {"password1": _("New password"), "password2": _("New password once more")}
        _plain(self, oldpassword=_("Present password"), **words)


class AddEmailForm(AllauthAddEmailForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self, email=_("Another e-mail address"))


class PasswordAgainForm(AllauthPasswordAgainForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _plain(self)


class CodeField(forms.CharField):
    """A code as people type it: digits of any script, with blanks or hyphens; what comes out has neither."""

    def __init__(self, **options: Any) -> None:
        look = {"autocomplete": "one-time-code", "inputmode": "numeric", "autocapitalize": "off", "spellcheck": "false"}
        super().__init__(**{"label": _("Code"), "max_length": 40, "widget": forms.TextInput(look), **options})

    def to_python(self, value: Any) -> str:
        typed = super().to_python(value) or ""
        return "".join(str(unicodedata.decimal(sign, sign)) for sign in typed if sign.isalnum())


def _spend(person_id: int, code: str) -> None:
    """A code of an authenticator app serves once. Raises ValidationError.

    allauth remembers a used code for one period; with codes of neighbouring periods allowed that is too short.
    """
    key = hashlib.sha256(f"{person_id}:{code}".encode()).hexdigest()
    if not cache.add(f"openlot:spent-code:{key}", 1, timeout=mfa.TOTP_PERIOD * (2 * mfa.TOTP_TOLERANCE + 1)):
        raise get_adapter().validation_error("incorrect_code")


class _CodeForm(BaseAuthenticateForm):
    """What both forms that take a code have in common."""

    code = CodeField()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_app = Authenticator.objects.filter(user=self.user, type=Authenticator.Type.TOTP).exists()
        self.fields["code"].help_text = (
            _("Six digits from your authenticator app, or one of your recovery codes.")
            if self.has_app
            else _("One of your recovery codes.")
        )

    def clean_code(self) -> str:
        code = super().clean_code()
        if self.authenticator.type == Authenticator.Type.TOTP:
            _spend(self.user.pk, code)
        return code


class AuthenticateForm(_CodeForm, AllauthAuthenticateForm):
    """The second step of a log-in."""


class ReauthenticateForm(_CodeForm, AllauthReauthenticateForm):
    """Proving once more who one is, before something is changed."""


class ActivateTotpForm(AllauthActivateTOTPForm):
    code = CodeField(label=_("The code that the app shows now"))

    def clean_code(self) -> str:
        code = super().clean_code()
        _spend(self.user.pk, code)
        return code


class AddPasskeyForm(AddWebAuthnForm):
    """A passkey, or a key that only serves as a second factor."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name")
        self.fields["name"].help_text = _("So that you tell it from others, such as “Office laptop”.")
        self.fields["name"].widget.attrs["maxlength"] = "100"
        passwordless = self.fields["passwordless"]
        passwordless.label = _("Log in with it alone, without a password")
        passwordless.help_text = _(
            "The device then asks for its PIN, your fingerprint or your face. Without this it is a second step after "
            "the password."
        )
        self.initial.setdefault("passwordless", True)


class RenamePasskeyForm(EditWebAuthnForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].label = _("Name")
        self.fields["name"].max_length = 100


class PasskeyLoginForm(LoginWebAuthnForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        needs = _("A passkey works with JavaScript only. Log in with your password, or allow scripts for this site.")
        self.fields["credential"].error_messages["required"] = needs

    def clean_credential(self) -> Authenticator:
        try:
            return super().clean_credential()
        except ValidationError as error:
            if getattr(error, "code", "") != "incorrect_code":
                raise
            # The device still offers a passkey that was removed here.
            raise ValidationError(
                _(
                    "This passkey is not known here: it was removed, or the page had been open for too long. "
                    "Try again, or use your password."
                )
            ) from error
