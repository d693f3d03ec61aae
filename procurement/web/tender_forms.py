"""Forms of the draft editor and of amendments. They check shape; every rule is the services'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.shared.clock import time_zones
from procurement import procedures
from procurement.models import Lot, Tender
from procurement.procedures import Setting
from procurement.rules.periods import PeriodUnit
from procurement.services.words import CHOICES
from procurement.web.fields import MomentField, NumberField
from procurement.web.search import currency_choices
from procurement.web.setting_words import OF_BIDS, PERIODS, explained, label_of


class RevisionForm(forms.Form):
    """A form that knows which revision of the draft it was opened at."""

    revision = forms.IntegerField(widget=forms.HiddenInput, min_value=0)


class NewForm(forms.Form):
    """A title and a kind in plain words."""

    title = forms.CharField(
        label=gettext_lazy("What do you want to buy or sell?"),
        max_length=200,
        help_text=gettext_lazy("A title that suppliers find: “Office chairs for the Rostock site”."),
    )
    procedure = forms.ChoiceField(label=gettext_lazy("How?"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["procedure"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (preset.code, format_html("<strong>{}</strong><br>{}", _(preset.name), _(preset.summary)))
            for preset in procedures.catalogue()
        ]


class BasicsForm(RevisionForm):
    title = forms.CharField(label=gettext_lazy("Title"), max_length=200)
    description = forms.CharField(
        label=gettext_lazy("Description"),
        required=False,
        max_length=20_000,
        widget=forms.Textarea({"rows": 6}),
        help_text=gettext_lazy("What it is for, what matters, how delivery and payment go."),
    )
    currency = forms.ChoiceField(label=gettext_lazy("Currency"))
    vat_included = forms.BooleanField(label=gettext_lazy("Prices include VAT"), required=False)
    time_zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        help_text=gettext_lazy("Deadlines are said in it, and days end at its midnight."),
        widget=forms.TextInput({"list": "zone-options"}),
    )

    def __init__(self, tender: Tender, data: Any = None, files: Any = None) -> None:
        names = ("title", "description", "currency", "vat_included", "time_zone", "revision")
        initial = {name: getattr(tender, name) for name in names}
        super().__init__(data, files, prefix="basics", initial=initial)
        field = self.fields["currency"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = currency_choices(tender.currency)


class TermsForm(RevisionForm):
    """The procedure's own settings, with their bounds, except those that are the timetable's or fixed."""

    def __init__(self, tender: Tender, data: Any = None, files: Any = None) -> None:
        self.offered = [
            setting for setting in tender.preset.settings if setting.name not in PERIODS and not _is_fixed(setting)
        ]
        initial: dict[str, Any] = {
            setting.name: tender.settings.get(setting.name, setting.default) for setting in self.offered
        }
        super().__init__(data, files, prefix="terms", initial=initial | {"revision": tender.revision})
        for setting in self.offered:
            self.fields[setting.name] = _setting_field(setting, is_sale=tender.preset.is_sale)

    def of_bids(self) -> list[forms.BoundField]:
        """What holds for the bids and the award."""
        return [self[setting.name] for setting in self.offered if setting.name in OF_BIDS]

    def of_auction(self) -> list[forms.BoundField]:
        """How the auction goes; nothing where there is none."""
        return [self[setting.name] for setting in self.offered if setting.name not in OF_BIDS]

    def given(self) -> dict[str, object]:
        """The settings as they are stored: decimals as strings."""
        found: dict[str, object] = {}
        for setting in self.offered:
            value = self.cleaned_data[setting.name]
            found[setting.name] = str(value) if setting.kind == "decimal" and value is not None else value
        return found


class TimetableForm(RevisionForm):
    """Counted from publication, or fixed dates in the tender's zone."""

    mode = forms.ChoiceField(
        label=gettext_lazy("Deadlines"),
        widget=forms.RadioSelect,
        choices=[
            ("counted", gettext_lazy("Count from the day of publication: the draft does not age")),
            ("fixed", gettext_lazy("Fixed dates")),
        ],
    )
    enquiry_period_days = forms.IntegerField(label=gettext_lazy("Questions are taken for (days)"), required=False)
    tender_period_days = forms.IntegerField(label=gettext_lazy("Bids are taken for (days)"), required=False)
    enquiry_ends_at = MomentField(label=gettext_lazy("Questions until"), required=False)
    tender_ends_at = MomentField(label=gettext_lazy("Bids until"), required=False)

    def __init__(self, tender: Tender, data: Any = None, files: Any = None) -> None:
        initial: dict[str, Any] = {
            "mode": "fixed" if tender.tender_ends_at or tender.enquiry_ends_at else "counted",
            "enquiry_ends_at": tender.enquiry_ends_at,
            "tender_ends_at": tender.tender_ends_at,
            "revision": tender.revision,
        }
        for name in PERIODS:
            initial[name] = tender.settings.get(name, tender.preset.setting(name).default)
        super().__init__(data, files, prefix="timetable", initial=initial)
        for name in (*PERIODS, "tender_ends_at"):
            # Which of them is needed depends on the mode.
            self.fields[name].one_of_several = True  # type: ignore[attr-defined]
        _in_zone(self, tender)
        if settings.PERIOD_UNIT == PeriodUnit.MINUTE:
            self.fields["enquiry_period_days"].label = _("Questions are taken for (minutes)")
            self.fields["tender_period_days"].label = _("Bids are taken for (minutes)")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if cleaned and cleaned.get("mode") == "fixed" and not cleaned.get("tender_ends_at") and not self.errors:
            self.add_error("tender_ends_at", _("Choose a day and an hour."))
        return cleaned


class DocumentForm(forms.Form):
    upload = forms.FileField(label=gettext_lazy("File"))
    title = forms.CharField(
        label=gettext_lazy("Title"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("The file’s name unless given."),
    )
    series = forms.ChoiceField(label=gettext_lazy("It is"), required=False)
    lot = forms.ChoiceField(label=gettext_lazy("It belongs to"), required=False)

    def __init__(self, tender: Tender, data: Any = None, files: Any = None) -> None:
        super().__init__(data, files, prefix="document")
        newest = tender.documents.order_by("series", "-version").distinct("series")
        series, lot = self.fields["series"], self.fields["lot"]
        assert isinstance(series, forms.ChoiceField)
        assert isinstance(lot, forms.ChoiceField)
        series.choices = [
            ("", _("a new document")),
            *((str(one.series), _("a new version of “%(title)s”") % {"title": one.title}) for one in newest),
        ]
        lot.choices = [
            ("", _("the whole procedure")),
            *((str(one.pk), _("Lot %(n)s") % {"n": one.number}) for one in tender.lots.all()),
        ]


class AmendForm(forms.Form):
    """What may change after publication, besides the lots, and why."""

    reason = forms.CharField(
        label=gettext_lazy("Why"),
        widget=forms.Textarea({"rows": 2}),
        help_text=gettext_lazy("Every bidder reads it."),
    )
    title = forms.CharField(label=gettext_lazy("Title"), max_length=200)
    description = forms.CharField(
        label=gettext_lazy("Description"), required=False, max_length=20_000, widget=forms.Textarea({"rows": 5})
    )
    enquiry_ends_at = MomentField(label=gettext_lazy("Questions until"))
    tender_ends_at = MomentField(label=gettext_lazy("Bids until"))
    upload = forms.FileField(label=gettext_lazy("A document"), required=False)
    document_title = forms.CharField(label=gettext_lazy("Its title"), required=False, max_length=200)
    series = forms.ChoiceField(label=gettext_lazy("It is"), required=False)

    def __init__(self, tender: Tender, data: Any = None, files: Any = None) -> None:
        names = ("title", "description", "enquiry_ends_at", "tender_ends_at")
        super().__init__(data, files, initial={name: getattr(tender, name) for name in names})
        _in_zone(self, tender)
        field = self.fields["series"]
        assert isinstance(field, forms.ChoiceField)
        source = DocumentForm(tender).fields["series"]
        assert isinstance(source, forms.ChoiceField)
        field.choices = source.choices


class CancelForm(forms.Form):
    """What is cancelled, and why."""

    what = forms.ChoiceField(label=gettext_lazy("What do you cancel?"), widget=forms.RadioSelect)
    reason = forms.CharField(
        label=gettext_lazy("Why"), widget=forms.Textarea({"rows": 3}), help_text=gettext_lazy("Every bidder reads it.")
    )

    def __init__(self, lots: Sequence[Lot], data: Any = None, *, chosen: str = "") -> None:
        super().__init__(data, initial={"what": chosen})
        field = self.fields["what"]
        assert isinstance(field, forms.ChoiceField)
        several = [(str(lot.pk), _("Lot %(n)s: %(title)s") % {"n": lot.number, "title": lot.title}) for lot in lots]
        field.choices = [("", _("The whole procedure")), *(several if len(several) > 1 else [])]
        field.required = False


def zone_names() -> list[str]:
    """Time zones to choose from: places, without the historic abbreviations."""
    return sorted(name for name in time_zones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))


def _in_zone(form: forms.Form, tender: Tender) -> None:
    for field in form.fields.values():
        if isinstance(field, MomentField):
            field.zone = ZoneInfo(tender.time_zone)
            field.help_text = _("Time in %(zone)s") % {"zone": tender.time_zone}


def _is_fixed(setting: Setting) -> bool:
    return (setting.minimum is not None and setting.minimum == setting.maximum) or len(setting.choices) == 1


def _setting_field(setting: Setting, *, is_sale: bool) -> forms.Field:
    label, help_text = label_of(setting, is_sale=is_sale), explained(setting)
    if setting.kind == "flag":
        return forms.BooleanField(label=label, required=False, help_text=help_text)
    if setting.kind == "choice":
        words = [(value, CHOICES.get((setting.name, value), value)) for value in setting.choices]
        return forms.ChoiceField(label=label, choices=words, help_text=help_text)
    if setting.kind == "integer":
        return forms.IntegerField(label=label, required=not setting.nullable, help_text=help_text)
    return NumberField(label=label, required=not setting.nullable, help_text=help_text)
