"""The protocol of an auction of each kind, checked by the program that a bidder has."""

from __future__ import annotations

import json
from collections.abc import Callable
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
Said = Callable[..., tuple[int, str]]
RULES = "--rules", str(Path(openlot_verify.__file__).parents[1])


def chained(document: dict[str, Any]) -> dict[str, Any]:
    """With the hashes that its events have now."""
    previous = "0" * 64
    for entry in document["events"]:
        entry["content"]["previous"] = previous
        previous = entry["hash"] = sha256(rfc8785.dumps(entry["content"])).hexdigest()
    document["result"]["head"] = document["statement"]["content"]["head"] = previous
    return document


def signed(document: dict[str, Any]) -> dict[str, Any]:
    """As the platform would sign it, whatever it says."""
    content = document.pop("statement")["content"] | {"document_sha256": sha256(rfc8785.dumps(document)).hexdigest()}
    return document | {"statement": keys.sign_receipt(content)}


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """What the program exits with and says of a document."""
    trust()
    public, path = tmp_path / "keys.json", tmp_path / "auction.json"

    def say(document: dict[str, Any], *words: str) -> tuple[int, str]:
        public.write_text(json.dumps(exports.receipt_keys()))
        path.write_text(json.dumps(document))
        lines: list[str] = []
        status = openlot_verify.run([str(path), "--platform-keys", str(public), *words], lines.append)
        return status, "\n".join(lines)

    return say


def protocol_of(kind: str) -> str:
    tender, _ = auctioned(kind)
    auction = Auction.objects.select_related("lot__tender__buyer").get(lot__tender=tender)
    return json.dumps(auction_protocol.document(auction))


def test_a_price_that_was_taken_before_it_was_named_is_told(said: Said) -> None:
    """Received while the price before it stood, and decided by the better one: no gateway does that that keeps up."""
    document = json.loads(protocol_of("auction_dutch"))
    tick, accepted = (entry["content"] for entry in document["events"][3:5])
    assert (tick["kind"], accepted["kind"]) == ("tick", "accept")
    accepted["at"] = document["events"][2]["content"]["at"]
    status, why = said(signed(chained(document)))
    assert (status, "order: 1 of its moves were decided after what came later" in why) == (0, True), why


@pytest.mark.parametrize("kind", MOVES)
def test_it_holds_and_names_the_winner_that_its_last_event_names(kind: str, said: Said) -> None:
    good = protocol_of(kind)
    for words in ((), RULES):
        status, why = said(json.loads(good), *words)
        assert status == 0, why
        assert "order: moves were decided as they were received" in why
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
