from marketplace.models.accreditation import (
    Accreditation,
    AccreditationDocument,
    AccreditationStatus,
    Side,
)
from marketplace.models.audit import AuditRecord
from marketplace.models.committee import CommitteeKey, CommitteeKeyAlgorithm, CommitteeKeyKind
from marketplace.models.organisation import (
    Address,
    AddressKind,
    Heading,
    Organisation,
    OrganisationIdentifier,
    OrganisationStatus,
    RegistrationDraft,
    Scheme,
)
from marketplace.models.person import ApiToken, Invitation, Membership, Person, PersonManager, Role, StaffRole
from marketplace.models.platform import Heartbeat, IdempotencyKey, Notification, StoredFile
from marketplace.models.signature import (
    Certificate,
    RevocationList,
    Signature,
    SigningRequest,
    TrustedCertificate,
    TrustKind,
)
from marketplace.models.tariff import (
    Invoice,
    InvoiceStatus,
    LedgerEntry,
    Plan,
    Subscription,
    SubscriptionStatus,
)

__all__ = [
    "Accreditation",
    "AccreditationDocument",
    "AccreditationStatus",
    "Address",
    "AddressKind",
    "ApiToken",
    "AuditRecord",
    "Certificate",
    "CommitteeKey",
    "CommitteeKeyAlgorithm",
    "CommitteeKeyKind",
    "Heading",
    "Heartbeat",
    "IdempotencyKey",
    "Invitation",
    "Invoice",
    "InvoiceStatus",
    "LedgerEntry",
    "Membership",
    "Notification",
    "Organisation",
    "OrganisationIdentifier",
    "OrganisationStatus",
    "Person",
    "PersonManager",
    "Plan",
    "RegistrationDraft",
    "RevocationList",
    "Role",
    "Scheme",
    "Side",
    "Signature",
    "SigningRequest",
    "StaffRole",
    "StoredFile",
    "Subscription",
    "SubscriptionStatus",
    "TrustKind",
    "TrustedCertificate",
]
