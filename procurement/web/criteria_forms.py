"""The form of what counts besides the price: a row for each question, with its answers and their shares. It checks
shape; every rule is the service's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.shared.errors import Invalid
from procurement.models import Tender
from procurement.rules.criteria import (
    DESCRIPTION_LENGTH,
    NAME_LENGTH,
    OPTIONS_MOST,
    QUESTIONS_MOST,
    Criteria,
    CriteriaKind,
    Option,
    Question,
)
from procurement.rules.ranking import Direction
from procurement.services.criteria import KINDS, SECTION
from procurement.web.fields import NumberField
from procurement.web.tender_forms import RevisionForm

_ROW: Final = re.compile(rf"{SECTION}-q([0-9]{{1,2}})_(?:o([0-9]{{1,2}})_)?name")
_BLANK_QUESTIONS: Final = 1
_BLANK_OPTIONS: Final = 2
_FEWEST_OPTIONS: Final = 3


@dataclass(frozen=True, slots=True)
class OptionRow:
    name: forms.BoundField
    share: forms.BoundField


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question's fields as the page shows them; `number` counts from 1."""

    number: int
    name: forms.BoundField
    description: forms.BoundField
    remove: forms.BoundField
    options: tuple[OptionRow, ...]


class CriteriaForm(RevisionForm):
    """Rows that are stored or were typed, and a blank one behind them."""

    kind = forms.ChoiceField(label=gettext_lazy("What else counts?"), widget=forms.RadioSelect)

    def __init__(self, tender: Tender, data: Any = None) -> None:
        kept = tender.price_criteria
        super().__init__(data, prefix=SECTION, initial={"revision": tender.revision, "kind": kept.kind.value})
        field = self.fields["kind"]
        assert isinstance(field, forms.ChoiceField)
        sells = tender.preset.axes.direction is Direction.UP
        field.choices = [(kind.value, said) for kind, said in KINDS.items() if not sells or kind != CriteriaKind.COSTS]
        self._options = _shape(data) if data is not None else _shape_of(kept)
        for place, options in enumerate(self._options):
            self._add_question(place, kept.questions[place] if place < len(kept.questions) else None, options)
        self._kept: list[tuple[int, list[int]]] = []

    @property
    def questions(self) -> Iterator[QuestionRow]:
        for place, options in enumerate(self._options):
            head = f"q{place}"
            rows = (OptionRow(self[f"{head}_o{each}_name"], self[f"{head}_o{each}_share"]) for each in range(options))
            yield QuestionRow(
                place + 1, self[f"{head}_name"], self[f"{head}_description"], self[f"{head}_remove"], tuple(rows)
            )

    def criteria(self) -> Criteria:
        """What was typed. Blank rows, and those marked for removal, are left out."""
        kind = CriteriaKind(self.cleaned_data["kind"])
        self._kept = []
        if kind is CriteriaKind.PRICE:
            return Criteria()
        return Criteria(kind, tuple(self._typed(kind)))

    def changes(self, tender: Tender) -> bool:
        """Whether what was typed differs from what the tender says."""
        return self.criteria() != tender.price_criteria

    def show(self, error: Invalid, head: str = "") -> list[str]:
        """Put each sentence beside its field; what belongs to none comes back. `head` begins the names of ours."""
        left = []
        for name, sentences in error.errors.items():
            field = self._field_at(name.removeprefix(head)) if name.startswith(head) else None
            for sentence in sentences:
                if field is None:
                    left.append(str(sentence))
                else:
                    self.add_error(field, str(sentence))
        return left

    def _typed(self, kind: CriteriaKind) -> Iterator[Question]:
        given = self.cleaned_data
        for place, options in enumerate(self._options):
            head = f"q{place}"
            rows = [
                (each, Option(given[f"{head}_o{each}_name"], given[f"{head}_o{each}_share"] or Decimal(0)))
                for each in range(options)
                if kind is CriteriaKind.FEATURES
                and (given[f"{head}_o{each}_name"] or given[f"{head}_o{each}_share"] is not None)
            ]
            name, description = given[f"{head}_name"], given[f"{head}_description"]
            if given[f"{head}_remove"] or not (name or description or rows):
                continue
            self._kept.append((place, [each for each, _option in rows]))
            yield Question(name, description, tuple(option for _each, option in rows))

    def _field_at(self, name: str) -> str | None:
        """The field that a refusal by the service's places is about."""
        parts = name.split(".")
        if len(parts) < 2 or int(parts[0]) >= len(self._kept):
            return None
        place, options = self._kept[int(parts[0])]
        return f"q{place}_{parts[1]}" if len(parts) == 2 else f"q{place}_o{options[int(parts[1])]}_{parts[2]}"

    def _add_question(self, place: int, question: Question | None, options: int) -> None:
        head, kept = f"q{place}", question or Question("")
        self.fields[f"{head}_name"] = forms.CharField(
            label=_("What counts"), required=False, max_length=NAME_LENGTH, initial=kept.name
        )
        self.fields[f"{head}_name"].one_of_several = True  # type: ignore[attr-defined]  # a blank row is no answer
        self.fields[f"{head}_description"] = forms.CharField(
            label=_("How it is understood and shown"), required=False, max_length=DESCRIPTION_LENGTH,
            initial=kept.description,
        )  # fmt: skip
        self.fields[f"{head}_remove"] = forms.BooleanField(label=_("Remove"), required=False)
        for each in range(options):
            option = kept.options[each] if each < len(kept.options) else None
            says = {"n": each + 1, "question": place + 1}
            self.fields[f"{head}_o{each}_name"] = forms.CharField(
                label=_("Answer %(n)s of no. %(question)s") % says, required=False, max_length=NAME_LENGTH,
                initial=option.name if option else "",
            )  # fmt: skip
            self.fields[f"{head}_o{each}_share"] = NumberField(
                label=_("Share of answer %(n)s of no. %(question)s, %%") % says, required=False,
                initial=option.share if option else None,
            )  # fmt: skip


def _shape_of(kept: Criteria) -> list[int]:
    """How many answers each row has room for."""
    rows = [_room(len(question.options)) for question in kept.questions]
    return [*rows, *[_FEWEST_OPTIONS] * _BLANK_QUESTIONS][:QUESTIONS_MOST]


def _shape(data: Any) -> list[int]:
    """The same of rows as they were sent."""
    sent: dict[int, int] = {}
    for name in data:
        if found := _ROW.fullmatch(name):
            place, option = int(found[1]), int(found[2]) + 1 if found[2] else 0
            if place < QUESTIONS_MOST:
                sent[place] = max(sent.get(place, 0), option)
    count = max(sent, default=-1) + 1
    return [min(sent.get(place, 0), OPTIONS_MOST) for place in range(count)]


def _room(options: int) -> int:
    return min(max(options + _BLANK_OPTIONS, _FEWEST_OPTIONS), OPTIONS_MOST)
