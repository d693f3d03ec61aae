from django.conf import settings
from django.urls import include, path
from django.views.generic import RedirectView

from marketplace.web import (
    bundles,
    committee_key,
    companies,
    design,
    health,
    home,
    notifications,
    people,
    profile,
    signature_check,
    waiting_signatures,
)

urlpatterns = [
    path("", home.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("signup/", include("marketplace.web.urls_signup")),
    # allauth's own sign-up page: people register through the steps above.
    path("accounts/signup/", RedirectView.as_view(pattern_name="signup")),
    path("organisation/", include("marketplace.web.urls_organisation")),
    path("invitations/<str:secret>/", people.accept, name="invitation"),
    path("account/", profile.page, name="person"),
    path("account/committee-key/", committee_key.page, name="committee_key"),
    path("account/committee-key/try/", committee_key.try_it, name="committee_key_try"),
    path("account/committee-key/retire/", committee_key.retire, name="committee_key_retire"),
    path("account/security/", people.security, name="security"),
    path("notifications/", notifications.page, name="notifications"),
    path("notifications/read/", notifications.read_all, name="notifications_read"),
    path("notifications/<int:notification_id>/", notifications.follow, name="notification"),
    path("about/signing/", bundles.about, name="bundles"),
    path("signatures/check/", signature_check.check, name="signature_check"),
    path("signatures/waiting/<int:queued_id>/", waiting_signatures.own, name="waiting_signature"),
    path("signatures/waiting/<int:queued_id>/stamped/", waiting_signatures.stamped, name="waiting_signature_stamped"),
    path("signatures/waiting/<int:queued_id>/receipt/", waiting_signatures.receipt, name="waiting_signature_receipt"),
    path("companies/", companies.index, name="companies"),
    path("companies/<int:organisation_id>/", companies.detail, name="company"),
    path("accreditation/", include("marketplace.web.urls_accreditation")),
    path("tariffs/", include("marketplace.web.urls_tariffs")),
    path("staff/", include("marketplace.web.urls_staff")),
]

if settings.DEBUG:
    urlpatterns += [path("design/", design.gallery, name="design")]
