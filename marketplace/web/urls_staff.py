from django.urls import path

from marketplace.web import accreditation_desk, signatures_desk, staff, tariff_desk, trust, trust_revocation

urlpatterns = [
    path("", staff.home, name="staff_home"),
    path("organisations/", staff.organisations, name="staff_organisations"),
    path("organisations/<int:organisation_id>/", staff.organisation, name="staff_organisation"),
    path("people/", staff.roles, name="staff_roles"),
    path("audit/", staff.audit_browser, name="audit_browser"),
    path("health/", staff.health, name="system_health"),
    path("trust/", trust.store, name="trust_store"),
    path("trust/add/", trust.add, name="trust_add"),
    path("trust/lists/", trust_revocation.lists, name="trust_lists"),
    path("trust/sources/", trust_revocation.sources, name="trust_sources"),
    path("trust/sources/<int:source_id>/", trust_revocation.source, name="trust_source"),
    path("trust/history/", trust.history, name="trust_history"),
    path("trust/<int:trusted_id>/", trust.authority, name="trusted"),
    path("trust/<int:trusted_id>/certificate/", trust.certificate, name="trusted_certificate"),
    path("signatures/", signatures_desk.signatures, name="staff_signatures"),
    path("signatures/<int:signature_id>/", signatures_desk.signature, name="staff_signature"),
    path("signatures/<int:signature_id>/files/<slug:kind>/", signatures_desk.file, name="staff_signature_file"),
    path("signatures/<int:signature_id>/evidence/<str:sha256>/", signatures_desk.piece, name="staff_signature_piece"),
    path("accreditation/", accreditation_desk.queue, name="accreditation_queue"),
    path("accreditation/<int:accreditation_id>/", accreditation_desk.decide, name="accreditation_decide"),
    path("tariffs/", tariff_desk.desk, name="tariff_desk"),
    path("tariffs/invoices/<int:invoice_id>/", tariff_desk.invoice, name="invoice_desk"),
    path("tariffs/subscriptions/", tariff_desk.subscriptions, name="subscription_desk"),
    path("tariffs/plans/", tariff_desk.plans, name="plan_desk"),
    path("tariffs/plans/new/", tariff_desk.plan_new, name="plan_new"),
    path("tariffs/plans/<slug:code>/", tariff_desk.plan, name="plan_edit"),
]
