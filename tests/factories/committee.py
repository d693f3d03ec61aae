"""Committees that hold the keys of a tender, with what opens their shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from marketplace.models import Organisation, Role
from marketplace.permissions import Actor
from marketplace.services import committee_keys
from marketplace.signatures import committee, sealing
from procurement.demo import committee as browser
from procurement.demo.committee import Holder
from procurement.models import Tender
from procurement.services import publishing
from tests.factories.marketplace import NOON, member
from tests.factories.procurement import draft_tender


@dataclass
class Committee:
    """A tender whose keys three members hold, two of whom open; `seed` is what a browser would have forgotten."""

    tender: Tender
    officer: Actor
    holders: list[Holder]
    seed: bytes


def holder(buyer: Organisation, *roles: Role) -> Holder:
    """A colleague with a committee key. Nobody has its passphrase, which takes long to stretch: tests hold the key."""
    return holder_of(member(buyer, *(roles or (Role.EVALUATOR,))))


def holder_of(actor: Actor) -> Holder:
    """The actor with a committee key."""
    pair = sealing.new_key_pair()
    return Holder(actor, committee_keys.make(pair.public, _wrapping(), by=actor, at=NOON), pair.private)


def held_draft(
    *, members: int = 3, threshold: int = 2, escrow: bool = False, officers: Sequence[Holder] = (), **fields: Any
) -> Committee:
    """A draft, complete, whose keys are made. `officers` are the first members."""
    tender = draft_tender(**fields)
    officer = member(tender.buyer)
    holders = [*officers, *(holder(tender.buyer) for _ in range(members - len(officers)))]
    seed = browser.hold(tender, holders, threshold, by=officer, at=NOON, escrow=escrow)
    tender.refresh_from_db()
    return Committee(tender, officer, holders, seed)


def held_tender(**fields: Any) -> Committee:
    """The same, published and taking bids."""
    held = held_draft(**fields)
    held.tender = publishing.publish(held.tender.pk, by=held.officer, at=NOON)
    return held


@lru_cache(maxsize=1)
def _wrapping() -> dict[str, Any]:
    return committee.wrap(sealing.new_key_pair().private, "a passphrase of nobody")
