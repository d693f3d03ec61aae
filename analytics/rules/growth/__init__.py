"""Growth: what each account should buy and does not. `fit` on a history, `score` any of its accounts."""

from analytics.rules.growth.learning import fit
from analytics.rules.growth.model import Fallback, GrowthModel
from analytics.rules.growth.presence import of_scores as chance_of_ordering
from analytics.rules.growth.scoring import GrowthList, GrowthScores, ProfileSummary, score

__all__ = [
    "Fallback",
    "GrowthList",
    "GrowthModel",
    "GrowthScores",
    "ProfileSummary",
    "chance_of_ordering",
    "fit",
    "score",
]
