"""Two representatives, one account: who owns it, by rule and not by who shouts loudest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final


class OwnershipRule(StrEnum):
    """Why a claim wins, the strongest first."""

    ACCOUNT = "account"
    OPPORTUNITY = "opportunity"
    TERRITORY = "territory"
    FIRST = "first"


# Who lets a lead lie for so long has no claim from having been first.
CLAIM_DAYS: Final = 90


@dataclass(frozen=True, slots=True)
class Claim:
    """A representative who could own a lead or an account, and on what ground."""

    representative: int
    owns_account: bool = False
    # The earliest open opportunity with the account.
    opportunity_since: date | None = None
    owns_territory: bool = False
    registered_on: date | None = None
    last_step_on: date | None = None


def owner(claims: Sequence[Claim], today: date) -> tuple[int, OwnershipRule] | None:
    """Who owns it and by which rule: the account's owner; then the earliest open opportunity; then the territory;
    then who registered it first and has not let it lie. None where nobody has a claim. Ties: the lower number.
    """
    ordered = sorted(claims, key=lambda claim: claim.representative)
    owning = [claim for claim in ordered if claim.owns_account]
    if owning:
        return owning[0].representative, OwnershipRule.ACCOUNT
    working = [claim for claim in ordered if claim.opportunity_since is not None]
    if working:
        return min(
            working, key=lambda claim: claim.opportunity_since or today
        ).representative, OwnershipRule.OPPORTUNITY
    local = [claim for claim in ordered if claim.owns_territory]
    if local:
        return local[0].representative, OwnershipRule.TERRITORY
    alive = [claim for claim in ordered if _alive(claim, today)]
    if alive:
        return min(alive, key=lambda claim: claim.registered_on or today).representative, OwnershipRule.FIRST
    return None


def _alive(claim: Claim, today: date) -> bool:
    if claim.registered_on is None:
        return False
    touched = max(claim.registered_on, claim.last_step_on or claim.registered_on)
    return (today - touched).days <= CLAIM_DAYS
