"""The sentences the browser's scripts say, for translation; found by their English text (assets/src/lib/words.ts)."""

from typing import Final

from django.utils.translation import gettext_noop as _

SENTENCES: Final = (
    _("What you had typed is filled in again."),
    _("Saving…"),
    _("You were logged out. Log in in another tab and go on here: nothing is lost."),
    _("Somebody changed this meanwhile. Your input stays here; load the page again to compare."),
    _("Not saved yet: the server did not take it. Trying again."),
    _("Saved {time}"),
    _("Not saved yet: the connection is lost. Trying again."),
    _("Close this message"),
    _("This did not work. Nothing was changed; try again in a moment."),
    _("The connection is lost. What you typed is kept; try again when it is back."),
    _("not a price"),
    _("{count} prices pasted; {more} rows more than the table has were left out."),
    _("{count} prices pasted."),
    _("One minute left"),
    _("Ten minutes left"),
    _(
        "This file is of an older kind, and the part that reads it could not be loaded. Check the connection "
        "and try again."
    ),
    _(
        "This browser signs on secure pages only (https, or this very machine). Sign elsewhere and upload the"
        " signature below."
    ),
    _("Signing failed in this browser. Sign elsewhere and upload the signature below, or try another browser."),
    _("Choose your key file (.p12 or .pfx)."),
    _("Opening the key file…"),
    _("issued by {issuer}"),
    _("valid until {date}"),
    _("The file holds several keys. Choose one, then sign."),
    _("This certificate expired on {date}. Use a current one."),
    _("This certificate is not valid before {date}."),
    _("This certificate belongs to {organisation} ({theirs}), but you sign for the organisation with {ours}."),
    _("Signing…"),
    _("What this page would sign is not what the server prepared. Load the page again."),
    _("Signed by {name}. Sending…"),
    _("This file is too large to be a key file (.p12 or .pfx)."),
    _("There is no private key in this file. Export the certificate together with its private key."),
    _(
        "This is a PEM file. Make a .p12 of the key and its certificate: openssl pkcs12 -export -inkey "
        "KEY.pem -in CERT.pem -out ME.p12"
    ),
    _("This is not a key file. Choose the .p12 or .pfx file that your certification authority gave you."),
    _("Enter the password of the key file."),
    _("Wrong password. It is the one chosen when the key file was made."),
    _("A browser cannot sign with this kind of key. Sign elsewhere with the command below and upload the signature."),
    _("The file holds a key without its certificate. Export both together."),
)
