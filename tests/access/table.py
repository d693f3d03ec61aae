"""Who is let in where: a row for every address and method, and who may.

Written from what each page is for, not from what the code does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse

from tests.access.world import World

BUYER = {"buyer"}  # an officer and signer
BUYERS_TEAM = BUYER | {"buyer_observer"}
SUPPLIER = {"supplier"}  # a bid manager and signer
SUPPLIERS_HEADS = SUPPLIER | {"supplier_admin"}  # who signs or administers
SUPPLIERS_TEAM = SUPPLIERS_HEADS | {"supplier_observer"}
OTHERS = {"other_buyer", "other_supplier"}  # strangers to every object of the table, with every role at home
SUPPLIERS_ADMIN = {"supplier_admin"}
ADMINISTRATORS = SUPPLIERS_ADMIN | OTHERS
SIGNERS_AND_ADMINISTRATORS = BUYER | SUPPLIERS_HEADS | OTHERS
MEMBERS = BUYERS_TEAM | SUPPLIERS_TEAM | OTHERS
OPERATOR, TARIFF_MANAGER, AUDITOR = {"operator"}, {"tariff_manager"}, {"auditor"}
REPRESENTATIVE, SALES_MANAGER = {"representative"}, {"sales_manager"}
PLATFORMS_SALES = REPRESENTATIVE | SALES_MANAGER
STAFF = OPERATOR | TARIFF_MANAGER | AUDITOR | PLATFORMS_SALES
PEOPLE = MEMBERS | STAFF | {"person"}  # whoever is logged in; "person" has no organisation
VISITOR = {"visitor"}
EVERYBODY = PEOPLE | VISITOR
NOBODY: set[str] = set()
ROLES = sorted(EVERYBODY)
PROGRAM = ["token"]  # the API token of the supplier


@dataclass(frozen=True)
class Row:
    """A request of one address and who is let in; an argument names an object of the world, or stands as it is."""

    method: str
    name: str
    who: frozenset[str]
    arguments: dict[str, Any] = field(default_factory=dict)
    sends: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.method, self.name, *map(str, self.arguments.values())])

    def url(self, world: World) -> str:
        return reverse(self.name, kwargs=world.resolve(self.arguments))

    @property
    def roles(self) -> list[str]:
        """Who asks. allauth's own pages know nothing of our roles, and on a page a token is a visitor."""
        if self.name.startswith(("account_", "mfa_")):
            return ["visitor", "person", "supplier"]
        return ROLES + PROGRAM if self.name.startswith("api_") else ROLES


def send(method: str, name: str, who: set[str], sends: dict[str, Any] | None = None, **arguments: Any) -> list[Row]:
    return [Row(method, name, frozenset(who), arguments, sends or {})]


def get(name: str, who: set[str], sends: dict[str, Any] | None = None, **arguments: Any) -> list[Row]:
    return send("GET", name, who, sends, **arguments)


def post(name: str, who: set[str], sends: dict[str, Any] | None = None, **arguments: Any) -> list[Row]:
    return send("POST", name, who, sends, **arguments)


def both(name: str, who: set[str], **arguments: Any) -> list[Row]:
    return get(name, who, **arguments) + post(name, who, **arguments)


PAGES = [
    *get("home", EVERYBODY),
    *get("healthz", EVERYBODY),
    *get("bundles", EVERYBODY),
    *both("signature_check", EVERYBODY),
    *both("signup", EVERYBODY),
    *get("register_organisation", PEOPLE),
    *both("signup_company", PEOPLE),
    *get("signup_identifiers", EVERYBODY),
    *both("signup_addresses", PEOPLE),
    *get("signup_headings", EVERYBODY, sends={"name": "offered"}),
    *both("signup_sign", PEOPLE),
    *post("signup_keep", PEOPLE, step="company"),
    *both("invitation", EVERYBODY, secret="invitation_secret"),
    *both("invitation", NOBODY, secret="another-secret"),
    *both("person", PEOPLE),
    *get("security", PEOPLE),
    *both("committee_key", PEOPLE),
    *post("committee_key_try", PEOPLE),
    *both("committee_key_retire", PEOPLE),
    *get("notifications", PEOPLE),
    *post("notifications_read", PEOPLE),
    *get("notification", SUPPLIER, notification_id="notification"),
    *get("companies", EVERYBODY),
    *get("company", EVERYBODY, organisation_id="supplier_id"),
    *get("company", NOBODY, organisation_id="unregistered"),
]

ORGANISATION = [
    *get("organisation", MEMBERS),
    *both("organisation_edit", ADMINISTRATORS),
    *both("organisation_places", ADMINISTRATORS),
    *get("organisation_people", MEMBERS),
    *post("organisation_people", ADMINISTRATORS),
    *both("member_roles", SUPPLIERS_ADMIN, membership_id="observer_membership"),
    *both("member_end", SUPPLIERS_ADMIN | {"supplier_observer"}, membership_id="observer_membership"),
    *post("invitation_act", SUPPLIERS_ADMIN, invitation_id="invitation", act="again"),
    *post("invitation_act", SUPPLIERS_ADMIN, invitation_id="invitation", act="withdraw"),
    *get("organisation_certificates", MEMBERS),
    *both("organisation_tokens", MEMBERS),
    *both("token_revoke", SUPPLIERS_HEADS, token_id="api_token"),
    *get("organisation_history", MEMBERS),
    *post("switch_organisation", SUPPLIERS_TEAM, sends={"organisation": "supplier_id"}),
    *get("accreditation", MEMBERS, side="supplier"),
    *post("accreditation_begin", SIGNERS_AND_ADMINISTRATORS, side="supplier"),
    *post("accreditation_add", SUPPLIERS_HEADS | {"other_supplier"}, side="supplier"),
    *post("accreditation_remove", SUPPLIERS_HEADS, side="supplier", document_id="paper"),
    *both("accreditation_sign", SUPPLIER | {"other_supplier"}, side="supplier"),
    *get("accreditation_document", SUPPLIERS_TEAM | OPERATOR | AUDITOR, document_id="paper"),
    *both("waiting_signature", SUPPLIER, queued_id="queued"),
    *both("waiting_signature", NOBODY, queued_id=0),
    *get("waiting_signature_receipt", SUPPLIER, queued_id="queued"),
    *get("waiting_signature_stamped", SUPPLIER, queued_id="queued"),
    *get("tariffs", EVERYBODY),
    *both("subscribe", SIGNERS_AND_ADMINISTRATORS, plan_id="plan"),
    *get("invoices", MEMBERS),
    *get("invoice", SUPPLIERS_TEAM | OPERATOR | TARIFF_MANAGER, invoice_id="invoice"),
    *both("invoice_cancel", SUPPLIERS_HEADS | TARIFF_MANAGER, invoice_id="invoice"),
]

STAFF_DESKS = [
    *get("staff_home", OPERATOR | TARIFF_MANAGER | AUDITOR),
    *get("staff_organisations", OPERATOR | AUDITOR),
    *get("staff_organisation", OPERATOR | AUDITOR, organisation_id="supplier_id"),
    *post("staff_organisation", OPERATOR, organisation_id="supplier_id"),
    *both("staff_roles", OPERATOR),
    *get("audit_browser", OPERATOR | AUDITOR),
    *get("system_health", OPERATOR | AUDITOR),
    *get("outages", OPERATOR | AUDITOR),
    *both("take_over_clock", OPERATOR),
    *get("trust_store", OPERATOR),
    *both("trust_add", OPERATOR),
    *both("trusted", OPERATOR, trusted_id="trusted"),
    *get("trusted_certificate", OPERATOR, trusted_id="trusted"),
    *both("trust_lists", OPERATOR),
    *both("trust_sources", OPERATOR),
    *both("trust_source", OPERATOR, source_id="revocation_source"),
    *get("trust_waiting", OPERATOR),
    *post("trust_waiting_fetch", OPERATOR, queued_id="queued"),
    *get("trust_history", OPERATOR),
    *get("staff_signatures", OPERATOR | AUDITOR),
    *both("staff_signature", OPERATOR | AUDITOR, signature_id="signature"),
    *both("staff_signature", NOBODY, signature_id=0),
    *get("staff_signature_file", OPERATOR | AUDITOR, signature_id="signature", kind="payload"),
    *get("staff_signature_file", OPERATOR | AUDITOR, signature_id="signature", kind="with-stamp"),
    *get("staff_signature_file", NOBODY, signature_id="signature", kind="another"),
    *get("staff_signature_piece", OPERATOR | AUDITOR, signature_id="signature", sha256="evidence"),
    *get("staff_signature_piece", NOBODY, signature_id="signature", sha256="another"),
    *get("insights", EVERYBODY),  # leads on to the next
    *get("insights_accounts", PLATFORMS_SALES),
    *get("insights_account", PLATFORMS_SALES, organisation_id="buyer_id"),
    *get("insights_contracts", PLATFORMS_SALES, organisation_id="buyer_id"),
    *get("accreditation_queue", OPERATOR),
    *both("accreditation_decide", OPERATOR, accreditation_id="waiting_accreditation"),
    *get("tariff_desk", OPERATOR | TARIFF_MANAGER),
    *both("invoice_desk", OPERATOR | TARIFF_MANAGER, invoice_id="invoice"),
    *get("subscription_desk", OPERATOR | TARIFF_MANAGER),
    *get("plan_desk", OPERATOR | TARIFF_MANAGER),
    *both("plan_new", TARIFF_MANAGER),
    *both("plan_edit", TARIFF_MANAGER, code="plan_code"),
]

# What is published is public; a draft is its buyer's own.
TENDERS = [
    *get("tenders", EVERYBODY),
    *get("tenders_export", EVERYBODY),
    *get("category_options", EVERYBODY),
    *get("tender", EVERYBODY, number="open"),
    *get("tender", BUYERS_TEAM, number="draft"),
    *get("tender_lots", EVERYBODY, number="open"),
    *get("tender_lots", BUYERS_TEAM, number="draft"),
    *get("tender_documents", EVERYBODY, number="open"),
    *get("tender_documents", BUYERS_TEAM, number="draft"),
    *get("tender_document", EVERYBODY, number="open", document_id="open_document"),
    *get("tender_document", BUYERS_TEAM, number="draft", document_id="draft_document"),
    *get("tender_document", NOBODY, number="open", document_id="draft_document"),
    *get("tender_questions", EVERYBODY, number="open"),
    *post("tender_questions", SUPPLIERS_HEADS | {"other_supplier"}, number="open"),
    *both("tender_questions", NOBODY, number="draft"),
    *get("tender_answer", EVERYBODY, number="open", question="question_number"),
    *post("tender_answer", BUYER, number="open", question="question_number"),
    *get("tender_timetable", EVERYBODY, number="open"),
    *get("tender_timetable", NOBODY, number="draft"),
    *get("tender_audit", BUYERS_TEAM | OPERATOR | AUDITOR, number="open"),
    *get("tender_audit", BUYERS_TEAM, number="draft"),
    *both("tender_copy", BUYER | {"other_buyer"}, number="open"),
    *both("tender_copy", BUYER, number="draft"),
    *both("tender_amend", BUYER, number="open"),
    *both("tender_amend_sign", BUYER, number="open", nonce="amending"),
    *both("tender_cancel", BUYER, number="open"),
    *both("tender_cancel_sign", BUYER, number="open", nonce="cancelling"),
]

DRAFTS = [
    *get("my_tenders", BUYERS_TEAM | {"other_buyer"}),
    *both("tender_new", BUYER | {"other_buyer"}),
    *get("tender_edit", BUYER, number="draft"),
    *post("tender_save_basics", BUYER, number="draft"),
    *post("tender_save_terms", BUYER, number="draft"),
    *post("tender_save_criteria", BUYER, number="draft"),
    *post("tender_save_timetable", BUYER, number="draft"),
    *post("tender_add_lot", BUYER, number="draft"),
    *post("tender_save_lot", BUYER, number="draft", lot_id="draft_lot"),
    *post("tender_remove_lot", BUYER, number="draft", lot_id="draft_lot"),
    *post("tender_move_lot", BUYER, number="draft", lot_id="draft_lot"),
    *post("tender_save_items", BUYER, number="draft", lot_id="draft_lot"),
    *post("tender_import_items", BUYER, number="draft", lot_id="draft_lot"),
    *post("tender_add_document", BUYER, number="draft"),
    *post("tender_remove_document", BUYER, number="draft", document_id="draft_document"),
    *post("tender_remove_document", NOBODY, number="draft", document_id="open_document"),
    *get("tender_review", BUYER, number="draft"),
    *both("tender_custody", BUYER, number="draft"),
    *post("tender_custody_invite", BUYER, sends={"person": "buyer_observer_id"}, number="draft"),
    *both("tender_ceremony", BUYER, number="draft"),
    *get("tender_shares", BUYERS_TEAM, number="held"),
    *get("tender_shares", NOBODY, number="draft"),
    *get("tender_shares_state", BUYERS_TEAM, number="held"),
    *post("share_confirm", BUYER, number="held"),  # who holds a share
    *post("share_release", BUYER, number="held"),
    *post("share_wrong", BUYER, number="held"),
    *post("shares_key", BUYER, number="held"),
    *both("shares_escrow", BUYER, number="held"),
    *both("shares_give_up", BUYER, number="held"),
    *both("shares_give_up_sign", BUYER, number="held", nonce="giving_up"),
    *post("shares_remind", BUYER, number="held"),
    *both("tender_publish", BUYER, number="draft"),
    *both("tender_delete", BUYER, number="draft"),
]

# Nobody but the bidder reads a bid before the opening; the buyer does after it.
BIDS = [
    *get("my_bids", MEMBERS),
    *get("bid_start", MEMBERS, number="open", lot=3),
    *post("bid_start", SUPPLIER | {"other_supplier"}, number="open", lot=3),
    *both("bid_start", NOBODY, number="draft", lot=1),
    *get("bid", SUPPLIERS_TEAM, bid_id="sent"),
    *get("bid", SUPPLIERS_TEAM, bid_id="bid_draft"),
    *get("bid", SUPPLIERS_TEAM, bid_id="opened"),
    *both("bid_edit", SUPPLIER, bid_id="bid_draft"),
    *get("bid_file", SUPPLIERS_TEAM, bid_id="bid_draft", file_id="draft_file"),
    *get("bid_file", NOBODY, bid_id="sent", file_id="draft_file"),
    *post("bid_file_remove", SUPPLIER, bid_id="bid_draft", file_id="draft_file"),
    *both("bid_discard", SUPPLIER, bid_id="bid_draft"),
    *post("bid_review", SUPPLIER, bid_id="bid_draft"),
    *both("bid_sign", SUPPLIER, bid_id="bid_draft", nonce="sending"),
    *both("bid_sign", NOBODY, bid_id="sent", nonce="sending"),
    *both("bid_withdraw", SUPPLIER, bid_id="sent"),
    *get("bid_receipt", SUPPLIERS_TEAM, bid_id="sent", version=1),
    *get("bid_receipt_file", SUPPLIERS_TEAM, bid_id="sent", version=1, kind="received"),
    *get("bid_receipt_file", NOBODY, bid_id="sent", version=1, kind="withdrawn"),
    *both("receipt_verify", EVERYBODY),
    *get("receipt_keys", EVERYBODY),
    *get("bid_proof", SUPPLIERS_TEAM, bid_id="opened"),
    *get("bid_proof", NOBODY, bid_id="sent"),  # before the deadline there is no roll
    *get("tender_proof", EVERYBODY, number="awarding"),
    *get("tender_proof", EVERYBODY, number="open"),
    *get("tender_proof", NOBODY, number="draft"),
    *get("roll_file", EVERYBODY, number="awarding"),
    *get("roll_file", NOBODY, number="open"),
    *get("roll_timestamp", EVERYBODY, number="stamped"),
    *get("roll_timestamp", NOBODY, number="awarding"),
    *post("procedure_export", BUYERS_TEAM | SUPPLIERS_TEAM | OPERATOR | AUDITOR, number="awarding"),
    *post("procedure_export", BUYERS_TEAM | SUPPLIERS_TEAM | OPERATOR | AUDITOR, number="open"),
    *post("procedure_export", NOBODY, number="draft"),
    *get("procedure_export_state", SUPPLIER, number="awarding", export_id="export"),
    *get("procedure_export_file", SUPPLIER, number="awarding", export_id="export"),
]

AFTER_THE_OPENING = [
    *get("tender", EVERYBODY, number="awarding"),
    *get("tender_audit", BUYERS_TEAM | OPERATOR | AUDITOR, number="awarding"),
    *get("opening_protocol", EVERYBODY, number="awarding"),
    *get("opening_protocol", EVERYBODY, number="open"),
    *get("opening_protocol", NOBODY, number="draft"),
    *post("protocol_prepare", BUYER, number="awarding", kind="opening"),
    *post("protocol_prepare", NOBODY, number="awarding", kind="gossip"),
    *post("protocol_prepare", NOBODY, number="draft", kind="opening"),
    *both("protocol_sign", BUYER, number="awarding", kind="opening", nonce="protocol_nonce"),
    *both("protocol_sign", NOBODY, number="awarding", kind="evaluation", nonce="protocol_nonce"),
    *get("comparison", BUYERS_TEAM, number="awarding", lot=1),
    *get("comparison_csv", BUYERS_TEAM, number="awarding", lot=1),
    *get("opened_file", BUYERS_TEAM, number="awarding", bid_id="opened", file_id="opened_document"),
    *get("opened_file", NOBODY, number="open", bid_id="bid_draft", file_id="draft_file"),
    *post("bids_admit", BUYER, number="evaluation", lot=1),
    *post("bid_admit", BUYER, number="evaluation", bid_id="undecided"),
    *both("bid_reject", BUYER, number="evaluation", bid_id="undecided"),
    *post("bid_admit", NOBODY, number="open", bid_id="sent"),
    *both("bid_reject", NOBODY, number="evaluation", bid_id="opened"),
    *both("award", BUYER, number="awarding", lot=1),
    *both("award_sign", BUYER, number="awarding", lot=1, nonce="awarding_nonce"),
    *both("award_sign", NOBODY, number="evaluation", lot=1, nonce="awarding_nonce"),
    *both("award_fall_away", BUYER, number="won", lot=1),
]

CONTRACTS = [
    *get("contracts", MEMBERS),
    *get("contract", BUYERS_TEAM | SUPPLIERS_TEAM, number="contract"),
    *both("contract_edit", BUYER, number="contract"),
    *post("contract_prepare", BUYER | SUPPLIER, number="contract"),
    *both("contract_sign", BUYER, number="contract", nonce="buyer_signs"),
    *both("contract_sign", SUPPLIER, number="contract", nonce="supplier_signs"),
]

# A contract in force: its first delivery waits for the buyer, the second is confirmed.
DELIVERIES = [
    *get("deliveries_csv", BUYERS_TEAM | SUPPLIERS_TEAM, number="delivered"),
    *get("deliveries_xlsx", BUYERS_TEAM | SUPPLIERS_TEAM, number="delivered"),
    *both("delivery_new", SUPPLIERS_HEADS, number="delivered"),
    *get("delivery", BUYERS_TEAM | SUPPLIERS_TEAM, number="delivered", delivery=1),
    *get("delivery", NOBODY, number="delivered", delivery=9),
    *both("delivery_act", BUYER, number="delivered", delivery=1, what="confirm"),
    *both("delivery_act", BUYER, number="delivered", delivery=1, what="reject"),
    *both("delivery_act", BUYER | SUPPLIERS_HEADS, number="delivered", delivery=1, what="cancel"),
    *both("delivery_act", NOBODY, number="delivered", delivery=1, what="another"),
    *both("delivery_return", BUYER | SUPPLIERS_HEADS, number="delivered", delivery=2),
    *get("api_deliveries", BUYERS_TEAM | SUPPLIERS_TEAM | {"token"}, number="delivered"),
    *post("api_deliveries", SUPPLIERS_HEADS | {"token"}, number="delivered"),
    *get("api_delivery", BUYERS_TEAM | SUPPLIERS_TEAM | {"token"}, number="delivered", delivery=1),
    *post("api_delivery_state", BUYER, {"status": "confirmed"}, number="delivered", delivery=1),
    *post("api_delivery_state", BUYER | SUPPLIERS_HEADS | {"token"}, number="delivered", delivery=1),
    *post("api_delivery_returns", BUYER | SUPPLIERS_HEADS | {"token"}, number="delivered", delivery=2),
]

# Requests for an offer: of the buyer to the supplier, and of the buyer to the platform.
REQUESTS = [
    *both("offer_ask", BUYER | OTHERS, organisation_id="supplier_id"),
    *both("offer_ask", NOBODY, organisation_id="unregistered"),
    *both("offer_ask_platform", SIGNERS_AND_ADMINISTRATORS),
    *get("offer_requests", MEMBERS | PLATFORMS_SALES),
    *get("offer_request", BUYERS_TEAM | SUPPLIERS_TEAM, request_id="offer"),
    *get("offer_request", BUYERS_TEAM | PLATFORMS_SALES, request_id="platforms_offer"),
    *both("offer_request_act", SUPPLIERS_HEADS, request_id="offer", what="take-up"),
    *both("offer_request_act", PLATFORMS_SALES, request_id="platforms_offer", what="decline"),
    *both("offer_request_act", BUYER, request_id="offer", what="withdraw"),
    *both("offer_request_act", NOBODY, request_id="offer", what="another"),
    *post("insights_request", PLATFORMS_SALES, request_id="platforms_offer"),
    *post("insights_request", NOBODY, request_id="offer"),
    *get("api_offer_requests", MEMBERS | {"token"}),
    *post("api_offer_requests", SIGNERS_AND_ADMINISTRATORS | {"token"}),
    *get("api_offer_request", BUYERS_TEAM | SUPPLIERS_TEAM | {"token"}, request_id="offer"),
    *post("api_offer_request_state", BUYER, {"status": "withdrawn"}, request_id="offer"),
    *post("api_offer_request_state", SUPPLIERS_HEADS | {"token"}, {"status": "taken_up"}, request_id="offer"),
]

AUCTIONS = [
    *get("auctions", MEMBERS | OPERATOR | AUDITOR),
    *get("auction", BUYERS_TEAM | SUPPLIERS_TEAM | OPERATOR | AUDITOR, number="hall", lot=1),
    *post("auction_pause", OPERATOR, number="hall", lot=1),
    *get("auction_log", BUYERS_TEAM | SUPPLIERS_TEAM | OPERATOR | AUDITOR, number="over", lot=1),
    *get("auction_document", BUYERS_TEAM | SUPPLIERS_TEAM | OPERATOR | AUDITOR, number="over", lot=1),
    *get("auction_protocol", BUYERS_TEAM | SUPPLIERS_TEAM | OPERATOR | AUDITOR, number="over", lot=1),
]

API = [
    *get("api_schema", EVERYBODY | {"token"}),
    *get("api_docs", EVERYBODY | {"token"}),
    *get("api_waiting_signature", SUPPLIER | {"token"}, queued_id="queued"),
    *send("DELETE", "api_waiting_signature", SUPPLIER | {"token"}, queued_id="queued"),
    *get("api_tenders", EVERYBODY | {"token"}),
    *get("api_tender", EVERYBODY | {"token"}, number="open"),
    *get("api_tender", NOBODY, number="draft"),
    *get("api_tender_lots", EVERYBODY | {"token"}, number="open"),
    *get("api_tender_lots", NOBODY, number="draft"),
    *get("api_lot", EVERYBODY | {"token"}, lot_id="open_lot"),
    *get("api_lot", NOBODY, lot_id="draft_lot"),
    *get("api_auction", BUYERS_TEAM | SUPPLIERS_TEAM | OPERATOR | AUDITOR | {"token"}, lot_id="hall_lot"),
    *get("api_auction_protocol", BUYERS_TEAM | SUPPLIERS_TEAM | OPERATOR | AUDITOR | {"token"}, lot_id="over_lot"),
    *get("api_me", PEOPLE | {"token"}),
    *get("api_bids", MEMBERS | {"token"}),
    *post("api_bids", SUPPLIER | {"other_supplier", "token"}, sends={"lot": "third_lot"}),
    *post("api_bids", NOBODY, sends={"lot": "draft_lot"}),
    *get("api_bid", SUPPLIERS_TEAM | {"token"}, bid_id="sent"),
    *get("api_bid", SUPPLIERS_TEAM | {"token"}, bid_id="bid_draft"),
    *send("PATCH", "api_bid", SUPPLIER | {"token"}, bid_id="bid_draft"),
    *post("api_bid_documents", SUPPLIER | {"token"}, bid_id="bid_draft"),
    *send("DELETE", "api_bid_document", SUPPLIER | {"token"}, bid_id="bid_draft", file_id="draft_file"),
    *get("api_bid_sealing", SUPPLIERS_TEAM | {"token"}, bid_id="bid_draft"),
    *get("api_bid_sealed_document", SUPPLIERS_TEAM | {"token"}, bid_id="sent", file_id="sealed_file"),
    *get("api_bid_sealed_document", NOBODY, bid_id="bid_draft", file_id="sealed_file"),
    *post("api_bid_uploads", SUPPLIER | {"token"}, bid_id="sent", sends={"size": 105}),
    # Nobody goes on with another's upload: its key is in the browser of who began.
    *get("api_bid_upload", SUPPLIER | {"token"}, bid_id="sent", token="upload"),
    *get("api_bid_upload", NOBODY, bid_id="bid_draft", token="upload"),
    *send("PUT", "api_bid_upload", SUPPLIER | {"token"}, bid_id="sent", token="upload"),
    *send("DELETE", "api_bid_upload", SUPPLIER | {"token"}, bid_id="sent", token="upload"),
    *post("api_bid_upload_finish", SUPPLIER | {"token"}, bid_id="sent", token="upload"),
    *post("api_bid_prepare_sealed", SUPPLIER | {"token"}, bid_id="bid_draft"),
    *post("api_bid_prepare", SUPPLIER | {"token"}, bid_id="bid_draft"),
    *post("api_bid_submit", SUPPLIER | {"token"}, bid_id="bid_draft", sends={"nonce": "sending", "signature": "MAA="}),
    *post("api_bid_prepare_withdrawal", SUPPLIER | {"token"}, bid_id="sent"),
    *post("api_bid_withdraw", SUPPLIER | {"token"}, bid_id="sent", sends={"nonce": "withdrawing", "signature": "MAA="}),
    *get("api_bid_receipt", SUPPLIERS_TEAM | {"token"}, bid_id="sent", version=1),
]

# django-allauth's. Where there is nothing to do (no log-in half done, no second factor of one's own) it refuses; for a
# security key that is not one's own it leads back to the list of one's own, and a key's log-in without a key to log-in.
ACCOUNT = [
    *both("account_login", EVERYBODY),
    *both("account_logout", EVERYBODY),
    *get("account_inactive", EVERYBODY),
    *get("account_signup", EVERYBODY),
    *get("account_email_verification_sent", EVERYBODY),
    *get("account_confirm_email", EVERYBODY, key="no-such-key"),
    *both("account_reset_password", EVERYBODY),
    *get("account_reset_password_done", EVERYBODY),
    *get("account_reset_password_from_key", EVERYBODY, uidb36="1", key="no-such-key"),
    *get("account_reset_password_from_key_done", EVERYBODY),
    *get("account_confirm_login_code", PEOPLE),
    *both("account_reauthenticate", PEOPLE),
    *both("account_email", PEOPLE),
    *both("account_change_password", PEOPLE),
    *get("account_set_password", PEOPLE),
    *get("mfa_index", PEOPLE),
    *get("mfa_authenticate", PEOPLE),
    *get("mfa_reauthenticate", PEOPLE),
    *both("mfa_activate_totp", PEOPLE),
    *both("mfa_deactivate_totp", SUPPLIER),
    *get("mfa_view_recovery_codes", SUPPLIER),
    *both("mfa_generate_recovery_codes", PEOPLE),
    *get("mfa_download_recovery_codes", SUPPLIER),
    *get("mfa_list_webauthn", PEOPLE),
    *both("mfa_add_webauthn", PEOPLE),
    *both("mfa_reauthenticate_webauthn", PEOPLE),
    *both("mfa_remove_webauthn", PEOPLE, pk=1),
    *both("mfa_edit_webauthn", PEOPLE, pk=1),
    *both("mfa_login_webauthn", PEOPLE),
]

# A book of a supplier's own begins when its people first look; the platform's objects are the platform's alone.
SELLERS = PLATFORMS_SALES | {"other_supplier"}
HEADS_OF_SALES = SALES_MANAGER | {"other_supplier"}
CARDS = [
    *get("insights_queue", SELLERS),
    *get("insights_card", PLATFORMS_SALES, card_id="card"),
    *post("insights_card_act", PLATFORMS_SALES, card_id="card", what="snooze"),
    *post("insights_card_act", NOBODY, card_id="card", what="another"),
    *post("insights_undo", REPRESENTATIVE, event_id="card_event"),  # one's own act
    *get("insights_customers", SELLERS),
    *get("insights_customer", PLATFORMS_SALES, account_id="customer"),
    *get("insights_customer_lines", PLATFORMS_SALES, account_id="customer"),
    *post("insights_customer_note", PLATFORMS_SALES, account_id="customer"),
    *post("insights_customer_strategic", SALES_MANAGER, account_id="customer"),
    *both("insights_customer_hand_over", PLATFORMS_SALES, account_id="customer"),
    *get("insights_results", SELLERS),
    *get("insights_results_live", SELLERS),
    *get("insights_results_cards", SELLERS, {"figure": "at_risk"}),
    *get("insights_results_xlsx", SELLERS),
    *get("insights_team", HEADS_OF_SALES),
    *post("insights_capacity", SALES_MANAGER, {"cards_a_day": "5"}, person_id="seller"),
    *get("insights_territories", HEADS_OF_SALES),
    *both("insights_territory_new", HEADS_OF_SALES),
    *both("insights_territory", SALES_MANAGER, territory_id="territory"),
    *both("insights_territory_hand_over", SALES_MANAGER, territory_id="territory"),
    *post("insights_territory_delete", SALES_MANAGER, territory_id="territory"),
]
PIPELINE = [
    *get("insights_pipeline", SELLERS),
    *get("insights_opportunities", SELLERS),
    *get("insights_forecast", SELLERS),
    *get("insights_leads", SELLERS),
    *both("insights_lead_new", SELLERS),
    *both("insights_leads_import", SELLERS),
    *get("insights_lead", PLATFORMS_SALES, lead_id="lead"),
    *both("insights_lead_act", PLATFORMS_SALES, lead_id="lead", what="qualify"),
    *both("insights_lead_act", NOBODY, lead_id="lead", what="another"),
    *get("insights_opportunity", PLATFORMS_SALES, opportunity_id="opportunity"),
    *both("insights_opportunity_act", PLATFORMS_SALES, opportunity_id="opportunity", what="details"),
    *both("insights_opportunity_act", NOBODY, opportunity_id="opportunity", what="another"),
    *post("insights_opportunity_confirm", PLATFORMS_SALES, opportunity_id="opportunity", criterion="history_read"),
    *post("insights_opportunity_confirm", NOBODY, opportunity_id="opportunity", criterion="talked"),
    *post("insights_opportunity_leave_group", PLATFORMS_SALES, opportunity_id="opportunity", contact_id="contact"),
    *post("insights_objection_answer", PLATFORMS_SALES, opportunity_id="opportunity", objection_id="objection"),
    *both("insights_customer_contacts", PLATFORMS_SALES, account_id="customer"),
    *get("insights_customer_contacts_part", PLATFORMS_SALES, account_id="customer"),
    *both("insights_opportunity_new", PLATFORMS_SALES, account_id="customer"),
    *both("insights_contact", PLATFORMS_SALES, contact_id="contact"),
    *both("insights_contact_remove", PLATFORMS_SALES, contact_id="contact"),
    *post("insights_card_lead", PLATFORMS_SALES, card_id="card"),
    *get("insights_purchases", SELLERS),
    *post("insights_purchases", HEADS_OF_SALES),
    *post("insights_currency", HEADS_OF_SALES, {"currency": "EUR"}),
    *get("insights_import", PLATFORMS_SALES, import_id="import"),
    *both("insights_import_columns", SALES_MANAGER, import_id="import"),
    *post("insights_import_load", SALES_MANAGER, import_id="import"),
    *post("insights_import_discard", SALES_MANAGER, import_id="import"),
    *both("insights_import_undo", SALES_MANAGER, import_id="import"),
    *get("insights_import_rejects", SALES_MANAGER, import_id="import"),
    *get("insights_same_sales", SELLERS),
    *post("insights_same_sale", SALES_MANAGER, same_sale_id="same_sale", what="apart"),
    *post("insights_same_sale", NOBODY, same_sale_id="same_sale", what="another"),
    *both("insights_merges", HEADS_OF_SALES),
    *post("insights_merge_bring", SALES_MANAGER, merge_id="merge"),
    *post("insights_merge_undo", SALES_MANAGER, merge_id="merge"),
    *get("insights_runs", SELLERS),
    *post("insights_run_start", HEADS_OF_SALES),
    *get("insights_run", PLATFORMS_SALES, run_id="run"),
    *post("insights_run_retry", SALES_MANAGER, run_id="run"),
    *get("api_insights_purchases", SELLERS),
    *post("api_insights_purchases", HEADS_OF_SALES),
    *get("api_insights_purchase", PLATFORMS_SALES, import_id="import"),
    *get("api_insights_history", SELLERS),
    *get("api_insights_runs", SELLERS),
    *get("api_insights_run", PLATFORMS_SALES, run_id="run"),
    *get("api_insights_cards", SELLERS),
    *get("api_insights_leads", SELLERS),
    *post("api_insights_leads", SELLERS, {"company": "Kabel AG"}),
    *get("api_insights_opportunities", SELLERS),
]

TABLE = (
    PAGES
    + ORGANISATION
    + STAFF_DESKS
    + CARDS
    + PIPELINE
    + TENDERS
    + DRAFTS
    + BIDS
    + AFTER_THE_OPENING
    + CONTRACTS
    + DELIVERIES
    + REQUESTS
    + AUCTIONS
    + API
    + ACCOUNT
)

# Patterns without a name, and why no row asks for them.
UNNAMED = {"accounts/signup/": "leads to the registration; account_signup asks for the same address"}

# Pages that lead on whatever they are asked.
LEAD_ON = {"insights"}
OURS = sorted({row.name for row in TABLE if not row.name.startswith(("account_", "mfa_"))} - LEAD_ON)
