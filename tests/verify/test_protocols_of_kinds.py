"""The protocol of an auction of each kind, checked by the program that a bidder has."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from marketplace.shared import keys
from procurement import openlot_verify
from procurement.models import Auction
from procurement.services import auction_protocol, exports
from tests.factories.signatures import trust
from tests.verify.auctioned import MOVES, auctioned

pytestmark = pytest.mark.django_db
RULES = "--rules", str(Path(openlot_verify.__file__).parents[1])


def signed(document: dict[str, Any]) -> dict[str, Any]:
    """As the platform would sign it, whatever it says."""
    content = document.pop("statement")["content"] | {"document_sha256": sha256(rfc8785.dumps(document)).hexdigest()}
    return document | {"statement": keys.sign_receipt(content)}


@pytest.mark.parametrize("kind", MOVES)
def test_it_holds_and_names_the_winner_that_its_last_event_names(kind: str, tmp_path: Path) -> None:
    trust()
    tender, _ = auctioned(kind)
    public, path = tmp_path / "keys.json", tmp_path / "auction.json"
    public.write_text(json.dumps(exports.receipt_keys()))
    auction = Auction.objects.select_related("lot__tender__buyer").get(lot__tender=tender)
    good = json.dumps(auction_protocol.document(auction))

    def said(document: dict[str, Any], *words: str) -> tuple[int, str]:
        path.write_text(json.dumps(document))
        lines: list[str] = []
        status = openlot_verify.run([str(path), "--platform-keys", str(public), *words], lines.append)
        return status, "\n".join(lines)

    for words in ((), RULES):
        status, why = said(json.loads(good), *words)
        assert status == 0, why
    winner = json.loads(good)["result"]["winner"]
    (other, *_) = [one["label"] for one in json.loads(good)["bidders"] if one["label"] != winner]
    for what, changed in (
        ("winner", lambda result: result.update(winner=other)),
        ("winner", lambda result: result.update(price="1.00")),
        ("ranking", lambda result: result["ranking"][0].update(label=other)),
        ("ranking", lambda result: result["ranking"].pop()),
    ):
        document = json.loads(good)
        changed(document["result"])
        status, why = said(signed(document))
        assert (status, f"its {what} is not the one that its events give" in why) == (1, True), why
