"""Forms of the pipeline: leads, opportunities, steps, the buying group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from phonenumber_field.formfields import PhoneNumberField

from analytics.models import Account, Contact
from analytics.models.pipeline_names import (
    BUYING_ROLE_NAMES,
    KNOWN_NAMES,
    LOST_NAMES,
    RESULT_NAMES,
    STAGE_NAMES,
    STEP_NAMES,
    WON_NAMES,
    choices,
)
from analytics.rules.pipeline import STAGES, BuyingRole, LostReason, Stage, StepKind, StepResult, WonReason
from analytics.rules.qualification import BANT, GPCT, Known
from analytics.services.contacts import ContactDetails
from analytics.services.leads import LeadDetails
from analytics.services.opportunities import OpportunityDetails
from analytics.services.steps import NextStep
from marketplace.models import Person
from marketplace.web import formats
from marketplace.web.organisation_forms import country_choices
from procurement.web.fields import NumberField

BANT_LABELS: dict[str, Any] = {
    "budget": _("Budget: is there money for it?"),
    "authority": _("Authority: may they decide?"),
    "need": _("Need: do they need it?"),
    "timeline": _("Timeline: do they know when?"),
}
GPCT_LABELS: dict[str, Any] = {
    "goals": _("Goals: what do they want to reach?"),
    "plans": _("Plans: how do they mean to get there?"),
    "challenges": _("Challenges: what stands in the way?"),
    "time_frame": _("Timeline: by when, and why then?"),
}


def _day() -> forms.DateInput:
    return forms.DateInput({"type": "date"}, format="%Y-%m-%d")


def _text(rows: int) -> forms.Textarea:
    return forms.Textarea({"rows": rows})


class VersionedForm(forms.Form):
    """Of something that somebody else may change meanwhile."""

    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def freshen(self, now: Mapping[str, Any]) -> None:
        """It was opened before somebody else's change: say what stands there now; sent again, it is meant so."""
        sent: Any = self.data
        self.data = sent = sent.copy()
        sent["version"] = str(now["version"])
        for name, field in self.fields.items():
            kept = now.get(name) or (Known.UNKNOWN.value if name in BANT else None)
            if name == "version" or (self.cleaned_data.get(name) or None) == kept:
                continue
            words = dict(getattr(field, "choices", ())).get(kept, kept)
            said = _("%(field)s: “%(value)s” stands there now.")
            self.add_error(None, said % {"field": field.label, "value": formats.EMPTY if words is None else words})


class QualificationForm(VersionedForm):
    """BANT and GPCT: four answers to choose, four to write."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in BANT:
            self.fields[name] = forms.ChoiceField(label=BANT_LABELS[name], choices=choices(KNOWN_NAMES))
        for name in GPCT:
            self.fields[name] = forms.CharField(
                label=GPCT_LABELS[name], max_length=2000, required=False, widget=_text(2)
            )

    @property
    def bant(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in BANT}

    @property
    def gpct(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in GPCT}


class OpportunityForm(QualificationForm):
    title = forms.CharField(label=_("What is sold"), max_length=200)
    amount = NumberField(label=_("Expected amount, without VAT"), required=False)
    closes_on = forms.DateField(label=_("Expected closing"), required=False, widget=_day())
    field_order = ("version", "title", "amount", "closes_on")

    def details(self) -> OpportunityDetails:
        sent = self.cleaned_data
        return OpportunityDetails(sent["title"], sent["amount"], sent["closes_on"], self.bant, self.gpct)


class LeadForm(forms.Form):
    company = forms.CharField(label=_("Company"), max_length=200)
    country = forms.ChoiceField(label=_("Country"), required=False, choices=country_choices)
    contact_name = forms.CharField(label=_("Contact"), max_length=200, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)
    phone = PhoneNumberField(label=_("Phone"), required=False, help_text=_("With the country code: +49 30 901820."))
    need = forms.CharField(label=_("What they ask for"), max_length=2000, required=False, widget=_text(3))

    def details(self, **more: Any) -> LeadDetails:
        sent = self.cleaned_data | {"phone": str(self.cleaned_data["phone"] or "")}
        return LeadDetails(**sent, **more)


class ConvertForm(forms.Form):
    title = forms.CharField(label=_("What is sold"), max_length=200)


class BecauseForm(forms.Form):
    because = forms.CharField(label=_("Why"), max_length=500, widget=_text(2))


class GiveUpForm(BecauseForm):
    """`said` is for a customer who asked for an offer and waits; elsewhere it is left out."""

    said = forms.CharField(
        label=_("What the customer is told"),
        help_text=_("They asked for an offer and read this."),
        max_length=1000,
        required=False,
        widget=_text(2),
    )
    said.one_of_several = True  # type: ignore[attr-defined]  # not called optional: it is needed where it is shown


class ReasonForm(forms.Form):
    reason = forms.CharField(label=_("Why"), max_length=500, widget=_text(2))


class AssignForm(ReasonForm):
    """To a colleague who works in the book."""

    to = forms.ModelChoiceField(label=_("To"), queryset=Person.objects.none(), empty_label=_("Choose a colleague"))
    field_order = ("to", "reason")

    def __init__(self, *args: Any, people: Sequence[Person] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["to"]
        field.queryset = Person.objects.filter(pk__in=[person.pk for person in people]).order_by("full_name", "pk")


class MoveForm(forms.Form):
    stage = forms.ChoiceField(
        label=_("To stage"),
        choices=[(stage.value, STAGE_NAMES[stage]) for stage in STAGES if stage is not Stage.FOLLOW_UP],
    )
    reason = forms.CharField(
        label=_("Why"),
        max_length=500,
        required=False,
        help_text=_("Asked for on the way back; a manager may say why criteria need not hold."),
    )


class WonForm(forms.Form):
    because = forms.TypedChoiceField(label=_("Why they chose you"), choices=choices(WON_NAMES), coerce=WonReason)
    note = forms.CharField(label=_("Note"), max_length=1000, required=False, widget=_text(2))


class LostForm(forms.Form):
    because = forms.TypedChoiceField(label=_("Why it was lost"), choices=choices(LOST_NAMES), coerce=LostReason)
    note = forms.CharField(label=_("Note"), max_length=1000, required=False, widget=_text(2))


class ContactForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=200)
    position = forms.CharField(label=_("Position"), max_length=120, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)
    phone = PhoneNumberField(label=_("Phone"), required=False, help_text=_("With the country code: +49 30 901820."))
    note = forms.CharField(label=_("Note"), max_length=500, required=False, widget=_text(2))

    def details(self) -> ContactDetails:
        sent = {name: value for name, value in self.cleaned_data.items() if name != "version"}
        return ContactDetails(**sent | {"phone": str(sent["phone"] or "")})


class KnownContactForm(VersionedForm, ContactForm):
    """Of one who is known already."""


class _WithContacts(forms.Form):
    """Knows the account, so that only its contacts can be chosen."""

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["contact"]
        field.queryset = Contact.objects.filter(account=account, removed_at=None)


class GroupForm(_WithContacts):
    contact = forms.ModelChoiceField(
        label=_("Contact"), queryset=Contact.objects.none(), empty_label=_("Choose a contact")
    )
    role = forms.TypedChoiceField(
        label=_("Part in the decision"), choices=choices(BUYING_ROLE_NAMES), coerce=BuyingRole
    )


class PlanForm(_WithContacts):
    """The next step: what, when and with whom."""

    kind = forms.TypedChoiceField(label=_("What"), choices=choices(STEP_NAMES), coerce=StepKind)
    due_on = forms.DateField(label=_("On"), widget=_day())
    contact = forms.ModelChoiceField(
        label=_("With"), queryset=Contact.objects.none(), required=False, empty_label=_("Nobody in particular")
    )
    text = forms.CharField(label=_("Note"), max_length=1000, required=False)

    def next_step(self) -> NextStep:
        sent = self.cleaned_data
        return NextStep(sent["kind"], sent["due_on"], sent["text"], sent["contact"].pk if sent["contact"] else None)


class FinishForm(PlanForm):
    """How the step went, and what comes next; left empty, the next follow-up comes by itself."""

    result = forms.TypedChoiceField(label=_("How did it go?"), choices=choices(RESULT_NAMES), coerce=StepResult)
    result_note = forms.CharField(label=_("What was said"), max_length=1000, required=False, widget=_text(2))
    # Which step the form was about: sent again, it must not finish the one that came after.
    step = forms.IntegerField(required=False, widget=forms.HiddenInput)
    field_order = ("result", "result_note", "kind", "due_on", "contact", "text")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["due_on"].required = False
        self.fields["due_on"].label = _("Next step on")
        self.fields["due_on"].help_text = _("Left empty, the next of the five follow-ups is planned.")
        self.fields["kind"].label = _("Next step")

    def next_step_or_none(self) -> NextStep | None:
        day: date | None = self.cleaned_data["due_on"]
        return self.next_step() if day else None


class ObjectionForm(forms.Form):
    objection = forms.CharField(label=_("Objection"), max_length=1000, widget=_text(2))


class AnswerForm(forms.Form):
    answer = forms.CharField(label=_("Your answer"), max_length=1000, widget=_text(2))
