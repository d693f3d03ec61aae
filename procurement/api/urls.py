from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("procurement.api.tender_urls")),
    path("", include("procurement.api.bid_urls")),
    path("", include("procurement.api.auction_urls")),
    path("", include("procurement.api.delivery_urls")),
    path("", include("procurement.api.request_urls")),
]
