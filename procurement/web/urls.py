from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("procurement.web.tender_urls")),
    path("", include("procurement.web.custody_urls")),
    path("", include("procurement.web.auction_urls")),
    path("", include("procurement.web.bid_urls")),
    path("", include("procurement.web.award_urls")),
    path("", include("procurement.web.delivery_urls")),
    path("", include("procurement.web.request_urls")),
    path("", include("procurement.web.proof_urls")),
]
