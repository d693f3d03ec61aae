"""The look of every form: one renderer and one bound field, so that a form needs no words about its appearance."""

from __future__ import annotations

import re
from typing import Any, Final

from django import forms
from django.forms.renderers import TemplatesSetting
from django.http import HttpRequest, QueryDict

# What the database's largest whole numbers hold. Digits of other scripts are for people's fields, not for our own.
_NUMBER: Final = re.compile(r"[0-9]{1,18}")

_CLASSES: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.CheckboxSelectMultiple, "form-check-input"),
    (forms.RadioSelect, "form-check-input"),
    (forms.CheckboxInput, "form-check-input"),
    (forms.Select, "form-select"),
    (forms.Widget, "form-control"),
)


class OpenlotBoundField(forms.BoundField):
    """A field that carries Tabler's classes, and says to readers of the screen that it is wrong and why."""

    @property
    def is_choice_group(self) -> bool:
        """Several inputs under one legend."""
        return isinstance(self.field.widget, forms.RadioSelect | forms.CheckboxSelectMultiple)

    @property
    def is_checkbox(self) -> bool:
        """One box whose label stands beside it."""
        return isinstance(self.field.widget, forms.CheckboxInput)

    def build_widget_attrs(self, attrs: dict[str, Any], widget: forms.Widget | None = None) -> dict[str, Any]:
        widget = widget or self.field.widget
        built = super().build_widget_attrs(attrs, widget)
        if widget.is_hidden:
            return built
        own = str(built.get("class") or widget.attrs.get("class") or "")
        wanted = next(css for kind, css in _CLASSES if isinstance(widget, kind))
        invalid = "is-invalid" if self.errors else ""
        built["class"] = " ".join(dict.fromkeys([*own.split(), wanted, *invalid.split()]))
        return built


class OpenlotRenderer(TemplatesSetting):
    """Renders forms, fields and choice groups from templates/django/forms/."""

    form_template_name = "django/forms/form.html"
    field_template_name = "django/forms/field.html"
    bound_field_class = OpenlotBoundField


def whole_number(sent: object) -> int | None:
    """A number that a page of ours put into a form or an address, or its script into JSON; None for anything else."""
    if isinstance(sent, int) and not isinstance(sent, bool):
        return sent if 0 <= sent < 10**18 else None
    return int(sent) if isinstance(sent, str) and _NUMBER.fullmatch(sent) else None


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: what was posted, even nothing at all; None where the page is only opened."""
    return request.POST if request.method == "POST" else None
