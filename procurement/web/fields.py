"""Inputs that procurement's forms share: exact numbers of any script, moments in a named zone, categories by name."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from marketplace.models import Heading
from marketplace.shared.money import parse_decimal

NUMBER_MAX_LENGTH = 40
_MINUTE = "%Y-%m-%dT%H:%M"
# At the ends of the calendar no zone, and no period counted from a moment, can be worked out.
_YEARS = range(1970, 3000)


class NumberField(forms.CharField):
    """An exact decimal, typed as people type numbers: "1,234.50", "1.234,50" or in digits of their script."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.widget.attrs.setdefault("inputmode", "decimal")
        self.widget.attrs.setdefault("maxlength", str(NUMBER_MAX_LENGTH))
        self.widget.attrs.setdefault("autocomplete", "off")

    def to_python(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return value
        text = super().to_python(value)
        if not text:
            return None
        try:
            return parse_decimal(text[: NUMBER_MAX_LENGTH + 1])
        except ValueError:
            raise ValidationError(_("Write a number such as 1250.50.")) from None

    def prepare_value(self, value: Any) -> Any:
        return f"{value.normalize():f}" if isinstance(value, Decimal) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != (initial if initial != "" else None))
        except ValidationError:
            return True


class MomentField(forms.CharField):
    """A day and an hour in the zone given to `in_zone`; the value is aware, in UTC."""

    zone = ZoneInfo("UTC")

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.DateTimeInput({"type": "datetime-local"}), **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, datetime):
            return value
        text = super().to_python(value)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
            if found.year not in _YEARS:
                raise ValueError("no year of ours")
            return found.replace(tzinfo=self.zone).astimezone(UTC)
        except ValueError:
            raise ValidationError(_("Choose a day and an hour.")) from None

    def prepare_value(self, value: Any) -> Any:
        return value.astimezone(self.zone).strftime(_MINUTE) if isinstance(value, datetime) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        """The input shows minutes: seconds that it cannot show are no change."""
        return bool((self.prepare_value(initial) or "") != (data or ""))


class CategoryField(forms.CharField):
    """A heading by its code, its name, or both as the list beside the input offers them."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {
            "list": "category-options",
            "hx-get": reverse_lazy("category_options"),
            "hx-trigger": "input changed delay:250ms",
            "hx-target": "#category-options",
            "autocomplete": "off",
        }
        super().__init__(widget=forms.TextInput(attrs), **kwargs)

    def to_python(self, value: Any) -> Any:
        if isinstance(value, Heading):
            return value
        text = str(super().to_python(value) or "")
        if not text:
            return None
        by_code = Heading.objects.filter(code=text.split(" ")[0]).first()
        found = by_code or Heading.objects.filter(name__iexact=text).first()
        if found is None:
            raise ValidationError(_("Choose a category from the list."))
        return found

    def prepare_value(self, value: Any) -> Any:
        return str(value) if isinstance(value, Heading) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool((self.prepare_value(initial) or "") != (data or ""))
