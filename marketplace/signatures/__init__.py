"""Electronic signatures: judged (`verify`), made for tests and the demo (`sign`), and sealed content (`sealing`).

    report = verify_bounded(signature, payload, Policy(anchors=…, eku=…, identifiers=…), at, Evidence(crls=…))
    report.passed, report.sub_indication, report.reasons

Pure Python: no Django, no clock, no network, no database.
"""

from .bounded import verify_bounded
from .report import Evidence, Indication, Policy, Report, Signer, Sub
from .verification import verify

__all__ = ["Evidence", "Indication", "Policy", "Report", "Signer", "Sub", "verify", "verify_bounded"]
