"""Electronic signatures: judged (`verify_bounded`), made for tests and the demo (`sign`); sealed content (`sealing`).

    report = verify_bounded(signature, payload, Policy(anchors=…, eku=…, identifiers=…), at, Evidence(crls=…))
    report.passed, report.sub_indication, report.reasons

`verification.verify` is the same in this very process. Pure Python: no Django, no clock, no network, no database; and
importing this loads none of the verifying libraries, which only the workers need.
"""

from .bounded import verify_bounded
from .outline import certificate_id, certificates_in, certificates_in_answer
from .report import CertificateId, Evidence, IndexedList, Indication, LeftOut, Policy, Report, Revocation, Signer, Sub

__all__ = [
    "CertificateId",
    "Evidence",
    "IndexedList",
    "Indication",
    "LeftOut",
    "Policy",
    "Report",
    "Revocation",
    "Signer",
    "Sub",
    "certificate_id",
    "certificates_in",
    "certificates_in_answer",
    "verify_bounded",
]
