"""What people tell about themselves, and how they log in."""

from __future__ import annotations

from typing import Final

from django import forms
from django.utils.translation import gettext_lazy as _
from phonenumber_field.formfields import PhoneNumberField

from marketplace.services.people import PersonDetails
from marketplace.shared.clock import time_zones

#: What logs people in, for those whom a page of ours logs in.
BACKEND: Final = "allauth.account.auth_backends.AuthenticationBackend"


class DetailsForm(forms.Form):
    """What a person says about themselves."""

    full_name = forms.CharField(label=_("Your name"), max_length=200, widget=forms.TextInput({"autocomplete": "name"}))
    position = forms.CharField(
        label=_("Position"),
        max_length=120,
        required=False,
        widget=forms.TextInput({"autocomplete": "organization-title"}),
    )
    phone = PhoneNumberField(
        label=_("Phone"),
        required=False,
        help_text=_("With the country’s code, such as +49 30 123456."),
        widget=forms.TextInput({"type": "tel", "autocomplete": "tel"}),
    )

    def details(self, time_zone: str = "UTC") -> PersonDetails:
        """What was entered; call it on a valid form."""
        values = self.cleaned_data
        return PersonDetails(
            values["full_name"], str(values["phone"] or ""), values["position"], values.get("time_zone") or time_zone
        )


class ProfileForm(DetailsForm):
    """… and the zone their times are shown in."""

    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=lambda: [
            (name, name.replace("_", " ")) for name in sorted(time_zones()) if "/" in name or name == "UTC"
        ],
        help_text=_("Deadlines are shown in the procedure’s zone and in this one."),
    )


class NewPasswordForm(forms.Form):
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        help_text=_("At least 10 characters. A short sentence is easy to remember and hard to guess."),
        widget=forms.PasswordInput({"autocomplete": "new-password"}, render_value=False),
    )


class AccountForm(DetailsForm, NewPasswordForm):
    """A new account."""

    email = forms.EmailField(label=_("E-mail"), widget=forms.EmailInput({"autocomplete": "email"}))
    field_order = ("full_name", "email", "password", "position", "phone")
