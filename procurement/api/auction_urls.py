from django.urls import URLPattern, URLResolver, path

from procurement.api import auctions

urlpatterns: list[URLPattern | URLResolver] = [
    path("lots/<int:lot_id>/auction/", auctions.AuctionDetail.as_view(), name="api_auction"),
    path("lots/<int:lot_id>/auction/protocol/", auctions.AuctionProtocol.as_view(), name="api_auction_protocol"),
]
