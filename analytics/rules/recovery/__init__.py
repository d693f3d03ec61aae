"""Which accounts, and which of their categories, are about to fall silent: p, the money at stake, and why."""

from analytics.rules.recovery.model import Fallback, RecoveryModel
from analytics.rules.recovery.reasons import Reason, joined, told
from analytics.rules.recovery.scoring import RecoveryScores, Scores, score
from analytics.rules.recovery.training import fit

__all__ = ["Fallback", "Reason", "RecoveryModel", "RecoveryScores", "Scores", "fit", "joined", "score", "told"]
