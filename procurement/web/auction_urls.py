from django.urls import URLPattern, URLResolver, path

from procurement.web import auctions, outages

urlpatterns: list[URLPattern | URLResolver] = [
    path("auctions/", auctions.auctions, name="auctions"),
    path("staff/outages/", outages.outages, name="outages"),
    path("staff/outages/clock/", outages.take_over_clock, name="take_over_clock"),
    path("procedures/<str:number>/lots/<int:lot>/auction/", auctions.live, name="auction"),
    path("procedures/<str:number>/lots/<int:lot>/auction/pause/", auctions.pause, name="auction_pause"),
    path("procedures/<str:number>/lots/<int:lot>/auction/log/", auctions.replay, name="auction_log"),
    path(
        "procedures/<str:number>/lots/<int:lot>/auction/protocol.json",
        auctions.protocol_document,
        name="auction_document",
    ),
    path(
        "procedures/<str:number>/lots/<int:lot>/auction/protocol.pdf", auctions.protocol_print, name="auction_protocol"
    ),
]
