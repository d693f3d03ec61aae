"""Refusals a person understands. A refused rule raises a DomainError; a bug stays a 500."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Sentence = str | Promise


class DomainError(Exception):
    """A rule said no. `code` is stable and public, `sentence` is what the person reads, `field` what it stands beside.

    The sentence may hold %(name)s placeholders, filled from the keyword arguments. Keyword arguments are also the
    members of the API's problem document: whole numbers, booleans, lists and None stay such, the rest is its words.
    """

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 409
    sentence: ClassVar[Sentence] = _("This is not possible.")

    def __init__(self, *, field: str | None = None, **params: Any) -> None:
        self.field = field
        self.params = params
        super().__init__(self.code)

    def __str__(self) -> str:
        return str(self.sentence) % self.params if self.params else str(self.sentence)


class Invalid(DomainError):
    """Several fields are wrong at once. `errors` maps a field ("" for the whole) to its sentences, in order."""

    code = "invalid"
    status = 422
    sentence = _("Please correct what is marked.")

    def __init__(self, errors: dict[str, list[Sentence]]) -> None:
        super().__init__()
        self.errors = errors


class NotAllowed(DomainError):
    code = "not_allowed"
    status = 403
    sentence = _("You are not allowed to do this.")


class NotFound(DomainError):
    """Also the answer about another organisation's object: whether it exists is not told."""

    code = "not_found"
    status = 404
    sentence = _("There is nothing here, or it is not yours to see.")


class StaleForm(DomainError):
    """The object changed since the form was opened. `changes` says what, as sentences."""

    code = "stale"
    status = 409
    sentence = _(
        "Somebody changed this while you were editing. Your input is kept; look at what changed and send it again."
    )

    def __init__(self, changes: list[Sentence] | None = None) -> None:
        super().__init__()
        self.changes = changes or []


class IllegalTransition(DomainError):
    code = "illegal_transition"
    sentence = _("This cannot go from “%(before)s” to “%(after)s”.")

    def __init__(self, before: str, after: str) -> None:
        super().__init__(before=before, after=after)
