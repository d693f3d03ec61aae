"""What a verdict on a signature means to somebody who received it. What the signer does about it: signing_words."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import Sentence
from marketplace.signatures import Sub

PASSED: Final = _(
    "The signature is valid. The document is exactly what was signed, the certificate was issued by an authority that "
    "this platform trusts, and it was neither expired nor revoked."
)
_WEAK: Final = _(
    "The key or the hash function is too weak: somebody else could have made this signature. Ask for one with a "
    "stronger key."
)
_UNKNOWN_AUTHORITY: Final = _(
    "The certificate was issued by an authority that this platform does not know. The signature may be genuine, but "
    "who made it cannot be confirmed here."
)

MEANINGS: Final[dict[Sub, Sentence]] = {
    Sub.FORMAT_FAILURE: _(
        "The file is no signature in the form that is taken here, so nothing can be said about who signed what. Ask "
        "the signer for a detached CAdES signature in DER form (.p7s)."
    ),
    Sub.HASH_FAILURE: _(
        "The signature belongs to another document, or the document was changed after it was signed, if only by a "
        "space. Do not rely on it; ask for the very file that was signed."
    ),
    Sub.SIG_CRYPTO_FAILURE: _(
        "The signature was not made with the key of the certificate it names: it is damaged or forged. Do not rely on "
        "it."
    ),
    Sub.REVOKED: _(
        "The certificate had been revoked before the signature was made, as a time stamp proves. Do not rely on it."
    ),
    Sub.EXPIRED: _("The certificate had expired before the signature was made, as a time stamp proves."),
    Sub.NOT_YET_VALID: _("The signature was made before its certificate became valid, as a time stamp proves."),
    Sub.SIG_CONSTRAINTS_FAILURE: _(
        "Somebody signed this document, but the signature does not fit: it is not the organisation’s that should have "
        "signed, or something that a signature must state is missing. The reasons below say which."
    ),
    Sub.CHAIN_CONSTRAINTS_FAILURE: _(
        "Somebody signed this document, but the certificate was not issued for signing documents on this platform."
    ),
    Sub.CERTIFICATE_CHAIN_GENERAL_FAILURE: _(
        "The certificate, or one of the authorities above it, is not in order. Who signed cannot be confirmed."
    ),
    Sub.CRYPTO_CONSTRAINTS_FAILURE: _WEAK,
    Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE: _WEAK,
    Sub.NO_SIGNING_CERTIFICATE_FOUND: _(
        "The signature does not hold the certificate it was made with, so nobody can say who signed. Ask the signer "
        "to include it."
    ),
    Sub.NO_CERTIFICATE_CHAIN_FOUND: _UNKNOWN_AUTHORITY,
    Sub.NO_CERTIFICATE_CHAIN_FOUND_NO_POE: _UNKNOWN_AUTHORITY,
    Sub.REVOKED_NO_POE: _(
        "The certificate has been revoked, and nothing proves that the signature is older than that. Do not rely on it."
    ),
    Sub.REVOKED_CA_NO_POE: _(
        "An authority above the certificate has been revoked, and nothing proves that the signature is older than that."
    ),
    Sub.OUT_OF_BOUNDS_NO_POE: _(
        "The certificate is not valid now: it has expired, or its time has not come. A signature made in time ends "
        "here when it carries no time stamp that proves it."
    ),
    Sub.OUT_OF_BOUNDS_NOT_REVOKED: _(
        "The certificate is not valid now, though it was never revoked. A signature made in time ends here when it "
        "carries no time stamp that proves it."
    ),
    Sub.TRY_LATER: _(
        "Nothing speaks against the signature so far, but whether the certificate was revoked cannot be said now: this "
        "platform has no fresh enough list of its authority. Check it again later."
    ),
    Sub.TIMESTAMP_ORDER_FAILURE: _("The time stamps of the signature contradict each other."),
    Sub.SIGNED_DATA_NOT_FOUND: _("The document that was signed is missing. Without it nothing can be said."),
    Sub.POLICY_PROCESSING_ERROR: _("The signature could not be judged by this platform’s rules."),
    Sub.GENERIC: _("The signature could not be judged. That says nothing about it; the reasons below say why."),
}


def meaning_of(sub: Sub | None) -> Sentence:
    """Of a sub-indication; of none, which is a signature that passed."""
    return PASSED if sub is None else MEANINGS[sub]
