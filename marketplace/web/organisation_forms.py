"""Forms of what an organisation says about itself, for the registration and for its own pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms
from django.urls import reverse_lazy
from django.utils.text import format_lazy
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _
from phonenumber_field.formfields import PhoneNumberField

from marketplace import countries
from marketplace.identifiers import Number, check, numbers_of
from marketplace.models import AddressKind, Organisation
from marketplace.services.organisations import NO_SIDE, AddressDetails, Requisites, identifier_field

_PREFIX: Final = "identifier_"


def country_choices() -> list[tuple[str, Any]]:
    return [("", _("Choose a country")), *countries.choices(get_language() or "en")]


def _hint(number: Number) -> Any:
    example = _("For example %(example)s.") % {"example": number.example} if number.example else ""
    return format_lazy("{} {}", example, number.hint) if number.hint else example


class RevisionForm(forms.Form):
    """A form that knows which version of the organisation it was opened on."""

    revision = forms.IntegerField(min_value=0, initial=0, widget=forms.HiddenInput)


class CompanyForm(RevisionForm):
    """Names, sides, registration numbers of the chosen country, contacts."""

    country = forms.ChoiceField(
        label=_("Country of registration"),
        choices=country_choices,
        # The numbers asked for depend on it.
        widget=forms.Select(
            {
                "hx-get": reverse_lazy("signup_identifiers"),
                "hx-include": "closest form",
                "hx-target": "#identifiers",
                "hx-swap": "outerHTML",
                "hx-params": "not csrfmiddlewaretoken,revision",
            }
        ),
    )
    full_name = forms.CharField(
        label=_("Full name"),
        max_length=300,
        help_text=_("As it stands in the register."),
        widget=forms.TextInput({"autocomplete": "organization"}),
    )
    short_name = forms.CharField(label=_("Short name"), max_length=120, help_text=_("What others see in lists."))
    legal_form = forms.CharField(
        label=_("Legal form"), max_length=80, required=False, help_text=_("Such as GmbH, Ltd, SAS or ООО.")
    )
    is_buyer = forms.BooleanField(label=_("We buy: publish procurements and choose suppliers"), required=False)
    is_supplier = forms.BooleanField(label=_("We supply: find procurements and send bids"), required=False)
    email = forms.EmailField(label=_("E-mail of the office"), required=False)
    phone = PhoneNumberField(
        label=_("Phone of the office"), required=False, widget=forms.TextInput({"type": "tel", "autocomplete": "tel"})
    )
    website = forms.URLField(label=_("Website"), required=False, assume_scheme="https")

    def __init__(self, *args: Any, fixed: Iterable[str] = (), **kwargs: Any) -> None:
        """`fixed`: schemes of registered numbers, which can no longer be changed."""
        super().__init__(*args, **kwargs)
        self.country_code = str((self.data if self.is_bound else self.initial).get("country") or "").upper()
        for number in numbers_of(self.country_code) if self.country_code in countries.CODES else ():
            is_fixed = number.scheme in fixed
            self.fields[identifier_field(number.scheme)] = forms.CharField(
                label=str(number.label),
                max_length=60,
                required=number.required,
                help_text=_("A registered number cannot be changed.") if is_fixed else _hint(number),
                widget=forms.TextInput(
                    {"autocomplete": "off", "spellcheck": "false"} | ({"readonly": True} if is_fixed else {})
                ),
            )

    def clean(self) -> dict[str, Any]:
        """The numbers are checked here too, so that a page shows everything that is wrong at once."""
        values: dict[str, Any] = super().clean() or {}
        if not (values.get("is_buyer") or values.get("is_supplier")):
            self.add_error("is_buyer", NO_SIDE)
        given = {
            name.removeprefix(_PREFIX): str(values.get(name) or "") for name in self.fields if name.startswith(_PREFIX)
        }
        _found, wrong = check(self.country_code, given)
        for scheme, sentence in wrong.items() if given else ():
            if not self.has_error(identifier_field(scheme)):
                self.add_error(identifier_field(scheme), str(sentence))
        return values

    @property
    def identifier_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(_PREFIX)]

    def requisites(self) -> Requisites:
        """What was entered; call it on a valid form."""
        values = self.cleaned_data
        return Requisites(
            country=values["country"],
            full_name=values["full_name"],
            short_name=values["short_name"],
            legal_form=values["legal_form"],
            email=values["email"],
            phone=str(values["phone"] or ""),
            website=values["website"],
            is_buyer=values["is_buyer"],
            is_supplier=values["is_supplier"],
            identifiers={
                name.removeprefix(_PREFIX): value for name, value in values.items() if name.startswith(_PREFIX)
            },
        )

    @staticmethod
    def initial_of(organisation: Organisation) -> dict[str, Any]:
        names = (
            "country",
            "full_name",
            "short_name",
            "legal_form",
            "is_buyer",
            "is_supplier",
            "email",
            "phone",
            "website",
        )
        return (
            {name: getattr(organisation, name) for name in names}
            | {identifier_field(number.scheme): number.value for number in organisation.identifiers.all()}
            | {"revision": organisation.version}
        )


class AddressForm(forms.Form):
    """One address. `same` says that it is the legal one; then nothing else is asked."""

    country = forms.ChoiceField(label=_("Country"), choices=country_choices)
    region = forms.CharField(label=_("Region"), max_length=120, required=False)
    postal_code = forms.CharField(label=_("Postal code"), max_length=16, required=False)
    city = forms.CharField(label=_("City"), max_length=120)
    street = forms.CharField(label=_("Street and number"), max_length=300)

    def details(self) -> AddressDetails:
        values = self.cleaned_data
        return AddressDetails(**{name: values[name] for name in ("country", "city", "street", "region", "postal_code")})


class OtherAddressForm(AddressForm):
    same = forms.BooleanField(required=False, initial=True)

    def __init__(self, *args: Any, label: Any = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["same"].label = label
        if self.is_same:
            for name, field in self.fields.items():
                field.required = field.required and name == "same"

    @property
    def is_same(self) -> bool:
        if self.is_bound:
            return self.add_prefix("same") in self.data
        return bool(self.initial.get("same", True))


class AddressesForms:
    """The three addresses as one: legal, actual, postal."""

    def __init__(
        self, data: Mapping[str, Any] | None = None, initial: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        initial = initial or {}
        self.legal = AddressForm(data, prefix="legal", initial=dict(initial.get("legal", {})))
        self.actual = OtherAddressForm(
            data, prefix="actual", initial=dict(initial.get("actual", {})), label=_("Same as the legal address")
        )
        self.postal = OtherAddressForm(
            data, prefix="postal", initial=dict(initial.get("postal", {})), label=_("Same as the legal address")
        )

    def __iter__(self) -> Any:
        return iter((self.legal, self.actual, self.postal))

    def is_valid(self) -> bool:
        # Each is asked, so that all errors are shown at once.
        return all([form.is_valid() for form in self])  # noqa: C419

    def addresses(self) -> dict[AddressKind, AddressDetails]:
        """The addresses that differ, by kind; an absent one is the same as the legal one."""
        found = {AddressKind.LEGAL: self.legal.details()}
        for kind, form in ((AddressKind.ACTUAL, self.actual), (AddressKind.POSTAL, self.postal)):
            if not form.is_same:
                found[kind] = form.details()
        return found

    @staticmethod
    def initial_of(organisation: Organisation) -> dict[str, dict[str, Any]]:
        names = ("country", "region", "postal_code", "city", "street")
        held = {a.kind: {name: getattr(a, name) for name in names} for a in organisation.addresses.all()}
        blank = {"country": organisation.country}
        return {kind: {**held.get(kind, blank), "same": kind not in held} for kind in AddressKind.values}
