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
    _("Passkeys work on secure pages with a name only (https://…). Log in with your password here."),
    _("This device has a passkey for your account already."),
    _("Nothing was confirmed: it was cancelled, took too long, or this device has no passkey for this site."),
    _("The device did not answer as it should. Try again, or use your password."),
    _("not a price"),
    _("{count} prices pasted; {more} rows more than the table has were left out."),
    _("{count} prices pasted."),
    _("One minute left"),
    _("Ten minutes left"),
    _("Extended: a late bid moved the end to {time}."),
    _("The auction goes on. It ends at {time}."),
    _("The auction has started."),
    _("You no longer lead. {detail}"),
    _("You lead."),
    _("You are now at rank {rank}."),
    _("Price to beat: {amount}"),
    _("Connected again. Nothing was missed: what happened meanwhile is in the list."),
    _("You were logged out. Log in in another tab and load this page again; the auction goes on."),
    _("reconnecting…"),
    _("live"),
    _("your clock agrees"),
    _("your clock is {seconds} s slow"),
    _("your clock is {seconds} s fast"),
    _("{count} ms to the server and back"),
    _("You lead"),
    _("Rank {rank}"),
    _("You do not lead"),
    _("You won"),
    _("You did not win"),
    _("Your price: {amount}"),
    _("not shown"),
    _("Not yet started"),
    _("Running"),
    _("Paused"),
    _("Ended"),
    _("Cancelled"),
    _("You"),
    _("Started"),
    _("Paused by the operator"),
    _("Resumed"),
    _("Closing…"),
    _("Starting…"),
    _("Over"),
    _("The auction is paused. The time lost is given back when it goes on."),
    _("The time is over. Bids received in time are still being decided."),
    _("The auction was cancelled."),
    _("Connection lost at {time}. Reconnecting: the auction goes on meanwhile."),
    _("The best price is {amount}."),
    _("The auction is over: yours is the best price."),
    _("The auction is over."),
    _("Your role lets you watch. Bid managers, signers and administrators bid."),
    _("The auction has not started yet."),
    _("The auction is paused."),
    _("You lead. You need not bid against yourself."),
    _("Enter an amount."),
    _("Sending…"),
    _("Bid {amount}"),
    _("Bid"),
    _("Yes, bid {amount}"),
    _("This is far better than the price to beat. If you mean it, press once more."),
    _("Sending {amount}…"),
    _("No answer yet. Sending the same bid again; it counts once."),
    _(
        "The server does not answer. Look at your standing above when the connection is back: a bid that "
        "arrived counts."
    ),
    _("The best allowed amount is {amount}."),
    _("Received at {time} ({zone}): {amount}"),
    _("Bidder {label}"),
    _("Time"),
    _("Best price"),
    _("Your price"),
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
    _("Drop one document and one signature."),
    _("Document: {name}"),
    _("Signature: {name}"),
    _("What this page would sign is not what the server prepared. Load the page again."),
    _("Signed by {name}. Sending…"),
    _("This file is too large to be a key file (.p12 or .pfx)."),
    _("There is no private key in this file. Export the certificate together with its private key."),
    _(
        "This is a PEM file. Make a .p12 of the key and its certificate: openssl pkcs12 -export -inkey "
        "KEY.pem -in CERT.pem -out ME.p12"
    ),
    _(
        "This is not a key file, or it is damaged. Choose the .p12 or .pfx file that your certification authority "
        "gave you."
    ),
    _("This is a certificate without its private key. Choose the .p12 or .pfx file that holds both."),
    _(
        "This file is protected in a way that a browser cannot undo. Export it again with AES-256, or sign elsewhere "
        "and upload the signature."
    ),
    _("The file cannot be read. Choose it again."),
    _("Enter the password of the key file."),
    _("Wrong password. It is the one chosen when the key file was made."),
    _("A browser cannot sign with this kind of key. Sign elsewhere with the command below and upload the signature."),
    _("The file holds a key without its certificate. Export both together."),
    _("Keys can be used on secure pages only (https, or this very machine)."),
    _("Making the keys of the lots…"),
    _("Splitting the key and sealing each share…"),
    _("Trying every way of putting the shares together…"),
    _("The trial failed: the shares do not give the key back. Nothing was sent. Try another browser."),
    _("Tried and sealed. Sending…"),
    _("Choose at least {count} characters: several words that you will remember."),
    _("The two passphrases differ. Type the same one twice."),
    _("Making the key…"),
    _("Registering the certificate of {name}…"),
    _("Opening your key…"),
    _("This did not work in your browser. Load the page again, or use another browser."),
    _("Your key opens, but the share does not open with it. Tell the buyer’s officer: the keys have to be made again."),
    _(
        "What was sealed to you is not the share that was announced. Tell the buyer’s officer: the keys have "
        "to be made again."
    ),
    _("Opening your share…"),
    _("Sealing it to the other members…"),
    _("The share of {names} is not the one that was announced; it is left out. Your own share is released."),
    _("Enough shares: putting the key together…"),
    _(
        "The shares are the announced ones, but together they do not give the keys of the lots. Tell the "
        "buyer’s officer."
    ),
    _("The connection is lost. Nothing is wrong with your share: press the button again when it is back."),
    _("The server did not take it. Load the page again and try once more."),
    _("This file holds another key than the one you registered. Choose the file of the registered certificate."),
    _("Enter your passphrase."),
    _("This is not the passphrase of your key. Nobody but you knows it, so nobody can tell you."),
    _(
        "Shares can be sealed to RSA and P-256 keys only, and this file holds none. Make a key with a "
        "passphrase instead."
    ),
    _("Not every document has arrived whole. Remove the unfinished ones and add them again."),
    _("Not saved: this browser’s storage refused it. Save the draft as a file."),
    _("Remove {name}"),
    _("Saved in this browser {time}"),
    _("Sealing failed in this browser. Load the page again, or try another browser."),
    _("The connection is lost. Goes on in {count} s where it stopped; nothing has to be sent again."),
    _("The content of “{name}” is not what its extension says. Save it again in that format, or rename it."),
    _("The file was changed, moved or removed while it was read. Choose it again."),
    _("The file’s name holds invisible characters that can disguise what it is. Rename the file and send it again."),
    _("The part of the page that seals documents could not be loaded. Check the connection and try again."),
    _("The price table is not complete."),
    _("The lines together are larger than any price can be. Look for a comma or a zero too many in the unit prices."),
    _("The total is above the limit price: such a bid is not taken."),
    _(
        "This browser does not know every document of the bid. Load the draft from the file you saved, or remove "
        "those documents."
    ),
    _(
        "This browser keeps no data for this site, so nothing can be saved here. Save the draft as a file before "
        "you leave."
    ),
    _("This draft belongs to another bid."),
    _("This is not a draft of a bid that was saved here."),
    _("This very document is in the bid already, as “{name}”."),
    _("Wait until the documents have arrived, or cancel those that have not."),
    _("Waits for its turn"),
    _("What arrived is not what was sent. Try again."),
    _("You were logged out. Log in in another tab, then try again here."),
    _("a few seconds left"),
    _("about {count} min left"),
    _("about {count} s left"),
    _("{priced} of {all} items have a price."),
    _("{sent} of {size} MB sealed and sent"),
    _("{size} MB · sealed"),
    _("“{name}” has too long a name. Rename it to at most {most} characters."),
    _("“{name}” holds macros or programs. Save it without them and send it again."),
    _("“{name}” is empty."),
    _("“{name}” is larger than {limit} MB. Make it smaller, or split it."),
    _("“{name}” is of a type that is not taken here. Allowed: {allowed}."),
)
