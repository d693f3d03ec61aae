"""A service's refusal, shown where the person is looking: beside the field, or on top of the form."""

from __future__ import annotations

from django import forms

from marketplace.shared.errors import DomainError, Invalid, StaleForm


def show_on(form: forms.BaseForm, error: DomainError) -> None:
    """Put the refusal's sentences on a bound and validated form: beside the fields they name, the rest on top."""
    if isinstance(error, Invalid):
        for name, sentences in error.errors.items():
            for sentence in sentences:
                form.add_error(name if name in form.fields else None, str(sentence))
        return
    form.add_error(error.field if error.field in form.fields else None, str(error))
    if isinstance(error, StaleForm):
        for change in error.changes:
            form.add_error(None, str(change))
