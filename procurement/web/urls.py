from django.urls import URLPattern, URLResolver, include, path

from procurement.web import tenders

urlpatterns: list[URLPattern | URLResolver] = [
    path("procedures/<str:number>/", tenders.overview, name="tender"),
    path("", include("procurement.web.auction_urls")),
    path("", include("procurement.web.bid_urls")),
    path("", include("procurement.web.award_urls")),
]
