"""Signatures in plain words: what one is about to sign, and why a signature was refused. For pages, translatable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import Sentence
from marketplace.signatures import Sub
from marketplace.signatures import payload as payloads

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Line(NamedTuple):
    """A label and what it says. `is_code` marks hashes and numbers that a page sets in fixed width, never reordered."""

    label: Sentence
    value: str | datetime
    is_code: bool = False


#: What an action is called on the page. An action that is missing here is shown by its name.
ACTIONS: Final[dict[str, Sentence]] = {
    "registration": _("Register the organisation"),
    "accreditation": _("Ask for accreditation"),
    "bid.submit": _("Send the bid"),
    "bid.withdraw": _("Withdraw the bid"),
    "opening": _("Sign the protocol of the opening"),
    "evaluation": _("Sign the protocol of the evaluation"),
    "award": _("Sign the award"),
    "contract": _("Sign the contract"),
    "amendment": _("Publish the amendment"),
    "cancellation": _("Cancel the procedure"),
    "keys.lost": _("Declare that the bids can never be opened"),
}

LABELS: Final[dict[str, Sentence]] = {
    "actual": _("Actual address"),
    "addresses": _("Addresses"),
    "algorithm": _("Encryption"),
    "admitted": _("Admitted"),
    "amount": _("Amount"),
    "bid_version": _("Version of the bid"),
    "bids": _("Bids"),
    "bids_must_be_confirmed": _("Bids must be confirmed"),
    "buyer": _("Buyer"),
    "buyer_identifiers": _("Buyer’s registration numbers"),
    "buys": _("Buys"),
    "changes": _("Changes"),
    "content": _("Sealed content"),
    "contract": _("Contract"),
    "country": _("Country"),
    "currency": _("Currency"),
    "deadline": _("Deadline for bids"),
    "documents": _("Documents"),
    "email": _("E-mail"),
    "files": _("Files"),
    "full_name": _("Full name"),
    "headings_consumed": _("Headings consumed"),
    "headings_offered": _("Headings offered"),
    "identifiers": _("Registration numbers"),
    "items": _("Items"),
    "legal": _("Legal address"),
    "legal_form": _("Legal form"),
    "lot": _("Lot"),
    "lot_key_sha256": _("Key of the lot (SHA-256)"),
    "lot_title": _("Title of the lot"),
    "lots": _("Lots"),
    "name": _("Name"),
    "not_opened": _("Not opened because"),
    "number": _("Number"),
    "opened_at": _("Opened"),
    "organisation": _("Organisation"),
    "person": _("Person"),
    "phone": _("Phone"),
    "position": _("Position"),
    "postal": _("Postal address"),
    "price": _("Price"),
    "quantity": _("Quantity"),
    "rank": _("Rank"),
    "reason": _("Reason"),
    "reasons": _("Reasons"),
    "received_at": _("Received"),
    "roll_root": _("Root of the roll of bids"),
    "roll_size": _("Bids on the roll"),
    "sha256": _("SHA-256"),
    "short_name": _("Short name"),
    "side": _("Side"),
    "size": _("Size"),
    "standstill_days": _("Standstill, days"),
    "standstill_minutes": _("Standstill, minutes"),
    "supplier": _("Supplier"),
    "supplier_identifiers": _("Supplier’s registration numbers"),
    "shares_needed": _("Shares that are needed"),
    "shares_released": _("Shares that are released"),
    "supplies": _("Supplies"),
    "tender": _("Procedure"),
    "tender_title": _("Title of the procedure"),
    "tender_version": _("Version of the procedure"),
    "text_sha256": _("Text of the contract (SHA-256)"),
    "text_version": _("Version of the text"),
    "delivery_tolerance": _("May be delivered beyond what was ordered, in percent"),
    "title": _("Title"),
    "total": _("Total"),
    "unit": _("Unit"),
    "values": _("New values"),
    "website": _("Website"),
    "whole_tender": _("Whole procedure"),
    "winner": _("Winner"),
    "winner_identifiers": _("Winner’s registration numbers"),
}

# The signed bytes sort their names; people read an organisation from its name on. Other names follow as they are.
_READ_FIRST: Final = (
    *("full_name", "name", "short_name", "legal_form", "country", "identifiers", "buys", "supplies"),
    *("addresses", "legal", "actual", "postal", "email", "phone", "website", "position"),
    *("headings_offered", "headings_consumed"),
)
_PLACES: Final = {name: place for place, name in enumerate(_READ_FIRST)}


def plain_words(payload: bytes) -> list[Line]:
    """What a prepared payload says, line by line, in the reader's language; nested names are joined by "›".

    Raises `payload.PayloadError` for bytes that were not prepared by this platform.
    """
    said = payloads.parse(payload)
    organisation = said["organisation"]
    return [
        Line(_("You sign to"), str(ACTIONS.get(said["action"], said["action"]))),
        Line(_("Organisation"), f"{organisation['name']} ({', '.join(organisation['identifiers'])})"),
        *_lines(said["content"], ()),
        Line(_("Sign before"), _moment(said["sign_before"])),
        Line(_("One-time number"), said["nonce"], True),
    ]


def refusal_sentence(sub: Sub | None) -> Sentence:
    """What a refused signature means for the person who made it, and the way out."""
    return REFUSALS.get(sub or Sub.GENERIC, REFUSALS[Sub.GENERIC])


def _lines(content: Mapping[str, Any], above: tuple[str, ...]) -> Iterator[Line]:
    for name, value in sorted(content.items(), key=lambda item: _PLACES.get(item[0], len(_PLACES))):
        label = (*above, _label(name))
        if isinstance(value, Mapping):
            yield from _lines(value, label)
        elif isinstance(value, list) and any(isinstance(member, Mapping) for member in value):
            for number, member in enumerate(value, start=1):
                yield from _lines(member, (*label, str(number)))
        else:
            yield _line(" › ".join(label), name, value)


def _line(label: str, name: str, value: Any) -> Line:
    if name == "size" and isinstance(value, int):
        return Line(label, ngettext("%(count)d byte", "%(count)d bytes", value) % {"count": value})
    if value is None or value == "" or value == []:
        return Line(label, "–")
    if isinstance(value, bool):
        return Line(label, gettext("yes") if value else gettext("no"))
    if isinstance(value, list):
        return Line(label, ", ".join(map(str, value)))
    text = str(value)
    if _MOMENT.fullmatch(text):
        return Line(label, _moment(text))
    return Line(label, text, bool(_SHA256.fullmatch(text)))


def _label(name: str) -> str:
    return str(LABELS.get(name, name.replace("_", " ").capitalize()))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


_EXPIRED = _("The certificate is outside of its period of validity. Sign with a valid one.")
_REVOKED = _("The certificate was revoked. Sign with another one.")
_TOO_WEAK = _("The key or the hash function of the signature is too weak. Sign with a certificate with a stronger key.")
_UNTRUSTED = _(
    "The certificate was not issued by an authority this platform trusts. The operator can tell which ones are."
)

REFUSALS: Final[dict[Sub, Sentence]] = {
    Sub.FORMAT_FAILURE: _(
        "This is not a signature this platform can read. It takes a detached CAdES signature in DER form (.p7s)."
    ),
    Sub.HASH_FAILURE: _(
        "The signature belongs to another document, or the document was changed. Download it again, sign exactly this "
        "file and upload the new signature."
    ),
    Sub.SIG_CRYPTO_FAILURE: _("The signature is broken: it does not match the certificate’s key. Sign again."),
    Sub.REVOKED: _REVOKED,
    Sub.EXPIRED: _EXPIRED,
    Sub.NOT_YET_VALID: _EXPIRED,
    Sub.SIG_CONSTRAINTS_FAILURE: _(
        "The signature does not fit: the certificate must name your organisation’s registration number, and the "
        "signature its time and certificate."
    ),
    Sub.CHAIN_CONSTRAINTS_FAILURE: _("The certificate was not issued for signing documents on this platform."),
    Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE: _(
        "The certificate or one of the authorities above it is not in order. Ask the authority that issued it."
    ),
    Sub.CRYPTO_CONSTRAINTS_FAILURE: _TOO_WEAK,
    Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: _TOO_WEAK,
    Sub.NO_SIGNING_CERTIFICATE_FOUND: _(
        "The signature does not hold the certificate it was made with. Sign again and include the certificate."
    ),
    Sub.NO_CERTIFICATE_CHAIN_FOUND: _UNTRUSTED,
    Sub.NO_CERTIFICATE_CHAIN_FOUND_NO_POE: _(
        "The authority that issued the certificate is trusted here, but its own certificate has expired. Tell the "
        "operator."
    ),
    Sub.REVOKED_NO_POE: _REVOKED,
    Sub.REVOKED_CA_NO_POE: _("The authority that issued the certificate lost its own. Sign with another certificate."),
    Sub.OUT_OF_BOUNDS_NO_POE: _EXPIRED,
    Sub.OUT_OF_BOUNDS_NOT_REVOKED: _EXPIRED,
    Sub.TRY_LATER: _(
        "Whether the certificate was revoked cannot be checked right now, or it is on hold. Nothing is lost: try again "
        "in a few minutes."
    ),
    Sub.TIMESTAMP_ORDER_FAILURE: _("The time stamps of the signature contradict each other. Sign again."),
    Sub.SIGNED_DATA_NOT_FOUND: _("The document that was signed is missing. Sign again."),
    Sub.POLICY_PROCESSING_ERROR: _("The signature could not be judged by this platform’s rules. Tell the operator."),
    Sub.GENERIC: _("The signature could not be checked. Sign again; if it happens once more, tell the operator."),
}
