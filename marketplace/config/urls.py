"""The root of the URLs. The other apps are named as strings only: marketplace stays the ground floor."""

from django.urls import include, path

handler400 = "marketplace.web.errors.bad_request"
handler403 = "marketplace.web.errors.forbidden"
handler404 = "marketplace.web.errors.not_found"
handler500 = "marketplace.web.errors.server_error"

urlpatterns = [
    path("", include("marketplace.web.urls")),
    path("", include("procurement.web.urls")),
    path("insights/", include("analytics.web.urls")),
    path("accounts/", include("allauth.urls")),
    path("api/v1/", include("marketplace.api.urls")),
    path("api/v1/", include("procurement.api.urls")),
    path("api/v1/", include("analytics.api.urls")),
]
