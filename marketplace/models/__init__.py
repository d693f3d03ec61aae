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
    Signature,
    SigningRequest,
)
from marketplace.models.tariff import (
    Invoice,
    InvoiceStatus,
    LedgerEntry,
    Plan,
    Subscription,
    SubscriptionStatus,
)
from marketplace.models.trust import (
    SERIAL_LENGTH,
    OcspAnswer,
    RevocationList,
    RevocationSource,
    RevokedEntry,
    TrustedCertificate,
    TrustKind,
)

__all__ = [
    "SERIAL_LENGTH",
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
    "OcspAnswer",
    "Organisation",
    "OrganisationIdentifier",
    "OrganisationStatus",
    "Person",
    "PersonManager",
    "Plan",
    "RegistrationDraft",
    "RevocationList",
    "RevocationSource",
    "RevokedEntry",
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
