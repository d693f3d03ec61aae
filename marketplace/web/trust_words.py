"""What an authority's certificate says in plain words, and what an operator should notice about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from marketplace.models import TrustKind
from marketplace.queries import trust as queries
from marketplace.services import trust_store
from marketplace.shared.errors import Sentence
from marketplace.web import formats, parts

#: An authority that ends earlier is worth a word before it is trusted.
_ENDS_SOON: Final = timedelta(days=180)


def facts(said: trust_store.AuthorityDetails) -> list[parts.Fact]:
    """What a certificate says, in the order in which one decides."""
    return [
        parts.Fact(_("Name"), _code(said.subject)),
        parts.Fact(_("Issued by"), gettext("itself: a root") if said.issues_itself else _code(said.issuer)),
        parts.Fact(_("Valid"), f"{formats.day(said.not_before)} – {formats.day(said.not_after)}"),
        parts.Fact(_("Key"), said.key),
        parts.Fact(_("Authorities below it"), _path_length(said.path_length)),
        parts.Fact(_("It may sign"), _usages(said.usages)),
        parts.Fact(_("Serial number"), _code(said.serial)),
        parts.Fact(_("Fingerprint (SHA-256)"), _fingerprint(said.sha256)),
    ]


def cautions(said: trust_store.AuthorityDetails, kind: TrustKind, now: datetime) -> Iterator[Sentence]:
    """What an operator should have seen before trusting it. None of it forbids."""
    if kind == TrustKind.ANCHOR and not said.issues_itself:
        yield _("This authority was issued by another one. As an anchor it is trusted without asking who stands above.")
    if kind == TrustKind.INTERMEDIATE and said.issues_itself:
        yield _("This is a root. As an intermediate it counts for nothing: trust it as an anchor, or not at all.")
    if not said.issues_itself and kind == TrustKind.INTERMEDIATE and not queries.is_issued_in_store(said.der):
        yield _("Whoever issued it is not in the store: it counts for nothing until an anchor above it is trusted.")
    if said.usages and "cRLSign" not in said.usages and kind != TrustKind.TSA:
        yield _("It may not sign revocation lists: what it issues passes only with a responder (OCSP).")
    if said.not_after - now < _ENDS_SOON:
        yield _("It ends soon. Ask the authority for the certificate that follows it.")
    if said.not_before > now:
        yield _("It is not valid yet.")


def _code(text: str) -> SafeString:
    return format_html("<bdi>{}</bdi>", text)


def _fingerprint(sha256: str) -> SafeString:
    """In groups, as authorities print theirs."""
    digits = sha256.upper()
    pairs = " ".join(":".join(digits[at + step : at + step + 2] for step in range(0, 16, 2)) for at in range(0, 64, 16))
    return format_html('<bdi class="hash fingerprint">{}</bdi>', pairs)


def _path_length(length: int | None) -> str:
    if length is None:
        return gettext("any number")
    if length == 0:
        return gettext("none: it certifies people and organisations only")
    return ngettext("%(n)s level", "%(n)s levels", length) % {"n": length}


def _usages(usages: tuple[str, ...]) -> str:
    words = {
        "keyCertSign": gettext("certificates"),
        "cRLSign": gettext("revocation lists"),
        "digitalSignature": gettext("documents and answers"),
        "nonRepudiation": gettext("what binds it"),
    }
    said = [words[usage] for usage in usages if usage in words]
    return ", ".join(said) if said else gettext("it does not say")
