"""Forms of a lot and of its table of items. They check shape; every rule is the services'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.forms.formsets import BaseFormSet, formset_factory
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.shared.errors import Sentence
from procurement.models import Item, Lot, Tender
from procurement.models.units import NAMES as UNIT_NAMES
from procurement.models.units import code_of
from procurement.services.lots import ITEMS_MAX, ItemRow, LotFields
from procurement.web.fields import CategoryField, NumberField
from procurement.web.tender_forms import RevisionForm

BLANK_ROWS = 3
_CLOCK_STEP = gettext_lazy("Tick")
_STEP = gettext_lazy("Auction step")
#: What a lot's own fields are called where the procedure gives them another meaning: label and help, by preset.
LOT_WORDS: dict[str, dict[str, tuple[Sentence, Sentence]]] = {
    "auction_english_forward": {
        "limit_price": (
            gettext_lazy("Reserve price, whole lot"),
            gettext_lazy("You sell for no less. Bidding starts here."),
        ),
        "delivery_place": (gettext_lazy("Where the goods are"), ""),
        "step_kind": (_STEP, gettext_lazy("The least by which a bid outbids the one it has to beat.")),
    },
    "auction_english_reverse": {
        "step_kind": (_STEP, gettext_lazy("The least by which a bid undercuts the one it has to beat."))
    },
    "auction_turn_based": {
        "step_kind": (_STEP, gettext_lazy("The least by which a bidder improves its own price in a turn."))
    },
    "auction_dutch": {
        "limit_price": (gettext_lazy("Limit price, whole lot"), gettext_lazy("You pay no more. The clock stops here.")),
        "clock_price": (
            gettext_lazy("The clock begins at"),
            gettext_lazy("A price so low that you do not expect anybody to accept it."),
        ),
        "step_kind": (_CLOCK_STEP, gettext_lazy("By how much the price rises at every interval.")),
        "step_value": (gettext_lazy("Size of the tick"), ""),
    },
    "auction_japanese": {
        "limit_price": (
            gettext_lazy("Limit price, whole lot"),
            gettext_lazy("You pay no more. The clock begins here."),
        ),
        "clock_price": (
            gettext_lazy("The clock stops at"),
            gettext_lazy("A price so low that you do not expect two bidders to confirm it."),
        ),
        "step_kind": (_CLOCK_STEP, gettext_lazy("By how much the price falls at every interval.")),
        "step_value": (gettext_lazy("Size of the tick"), ""),
    },
}


class LotForm(RevisionForm):
    """A lot's own fields; the step only where there is a live auction."""

    title = forms.CharField(label=gettext_lazy("Title of the lot"), max_length=200)
    limit_price = NumberField(label=gettext_lazy("Limit price, whole lot"), required=False)
    vat_rate = NumberField(label=gettext_lazy("VAT, %"), required=False)
    delivery_place = forms.CharField(label=gettext_lazy("Place of delivery"), required=False, max_length=300)
    step_kind = forms.ChoiceField(
        label=_STEP,
        required=False,
        choices=[("", "—"), ("amount", gettext_lazy("an amount")), ("percent", gettext_lazy("% of the limit price"))],
    )
    step_value = NumberField(label=gettext_lazy("Size of the step"), required=False)
    clock_price = NumberField(label=gettext_lazy("Best price of the clock"), required=False)

    def __init__(self, tender: Tender, lot: Lot, data: Any = None) -> None:
        self.lot = lot
        names = ("title", "limit_price", "vat_rate", "delivery_place", "step_kind", "step_value", "clock_price")
        initial = {name: getattr(lot, name) for name in names} | {"revision": tender.revision}
        super().__init__(data, prefix=f"lot-{lot.pk}", initial=initial)
        for name, (label, help_text) in LOT_WORDS.get(tender.preset.code, {}).items():
            self.fields[name].label, self.fields[name].help_text = str(label), str(help_text)
        for name in ("limit_price", "clock_price"):
            self.fields[name].help_text = f"{tender.currency}. {self.fields[name].help_text}".removesuffix(". ")
        asks = tender.preset.asks
        for name, is_asked in (
            ("limit_price", asks.limit),
            ("step_kind", asks.step),
            ("step_value", asks.step),
            ("clock_price", asks.clock),
        ):
            # A draft may lack it, but nothing is published without it: so it is not called optional.
            self.fields[name].one_of_several = is_asked  # type: ignore[attr-defined]
        if tender.preset.is_sale:
            kind = self.fields["step_kind"]
            assert isinstance(kind, forms.ChoiceField)
            kind.choices = [("", "—"), ("amount", _("an amount")), ("percent", _("% of the reserve price"))]
        if not asks.step:
            del self.fields["step_kind"], self.fields["step_value"]
        if not asks.clock:
            del self.fields["clock_price"]

    def lot_fields(self, only: Sequence[str] | None = None) -> LotFields:
        """What was typed; no VAT rate is none."""
        values = {
            name: value
            for name, value in self.cleaned_data.items()
            if name != "revision" and (not only or name in only)
        }
        if values.get("vat_rate", ...) is None:
            values["vat_rate"] = 0
        return LotFields(**values)  # type: ignore[typeddict-item]  # the fields are named as the service names them


class ItemForm(forms.Form):
    """A row of the table of items."""

    item = forms.IntegerField(widget=forms.HiddenInput, required=False)
    description = forms.CharField(label=gettext_lazy("What is needed"), max_length=300)
    category = CategoryField(label=gettext_lazy("Category"))
    quantity = NumberField(label=gettext_lazy("Quantity"))
    unit = forms.ChoiceField(label=gettext_lazy("Unit"), choices=list(UNIT_NAMES.items()), initial="H87")
    deliver_from = forms.DateField(
        label=gettext_lazy("Deliver from"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )
    deliver_until = forms.DateField(
        label=gettext_lazy("Deliver until"), required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d")
    )

    def row(self) -> ItemRow:
        given = self.cleaned_data
        return ItemRow(
            description=given["description"],
            category_id=given["category"].pk,
            quantity=given["quantity"],
            unit=given["unit"],
            deliver_from=given["deliver_from"],
            deliver_until=given["deliver_until"],
            item_id=given["item"],
        )


class ItemTable(BaseFormSet):
    """The table of a lot: rows in their order, those marked for removal and empty ones left out."""

    def rows(self) -> list[ItemRow]:
        return [form.row() for form in self.kept()]

    def kept(self) -> list[ItemForm]:
        """The forms of the rows that stay, in their new order. A new row is one in which something was typed."""
        removed = set(self.deleted_forms)
        kept = [form for form in self.forms if form not in removed and form.cleaned_data.get("description")]
        return sorted(kept, key=lambda form: form.cleaned_data.get("ORDER") or ITEMS_MAX)

    def add_fields(self, form: ItemForm, index: int | None) -> None:
        super().add_fields(form, index)
        form.fields["ORDER"].widget = forms.TextInput({"inputmode": "numeric", "autocomplete": "off"})
        form.fields["ORDER"].label = _("Position")
        form.fields["DELETE"].label = _("Remove")
        # The table's head names the columns for the eyes; to others each input says its column and row.
        for name, field in form.fields.items():
            if name != "item" and index is not None:
                says = {"column": field.label, "n": index + 1}
                field.widget.attrs["aria-label"] = _("%(column)s, row %(n)s") % says


_ItemTable = formset_factory(
    ItemForm,
    formset=ItemTable,
    extra=BLANK_ROWS,
    can_order=True,
    can_delete=True,
    max_num=ITEMS_MAX,
    absolute_max=ITEMS_MAX + BLANK_ROWS,
)


def item_table(lot: Lot, data: Any = None) -> ItemTable:
    """The lot's table with blank rows at its end; with `data` it is what was typed, whatever is stored by now."""
    initial = None if data is not None else [initial_of(item) for item in lot.items.all()]
    table: ItemTable = _ItemTable(data, prefix=prefix_of(lot), initial=initial)  # type: ignore[assignment]  # made of it
    return table


def prefix_of(lot: Lot) -> str:
    return f"items-{lot.pk}"


def initial_of(item: Item) -> dict[str, Any]:
    """A stored item as its row shows it."""
    return {
        "item": item.pk,
        "description": item.description,
        "category": item.category,
        "quantity": item.quantity,
        "unit": code_of(item.unit) or item.unit,
        "deliver_from": item.deliver_from,
        "deliver_until": item.deliver_until,
    }


class ImportForm(forms.Form):
    """Rows from a spreadsheet, pasted or as a CSV file."""

    pasted = forms.CharField(
        label=gettext_lazy("Paste rows from a spreadsheet"),
        required=False,
        widget=forms.Textarea({"rows": 4, "spellcheck": "false"}),
        help_text=gettext_lazy(
            "Columns in this order: what is needed, category (code or name), quantity, unit, and if you like deliver "
            "from and deliver until. A first row with these heads is left out."
        ),
    )
    table = forms.FileField(label=gettext_lazy("Or a CSV file"), required=False)
