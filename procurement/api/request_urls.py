from django.urls import URLPattern, URLResolver, path

from procurement.api import offer_requests

urlpatterns: list[URLPattern | URLResolver] = [
    path("offer-requests/", offer_requests.OfferRequests.as_view(), name="api_offer_requests"),
    path("offer-requests/<int:request_id>/", offer_requests.OfferRequestDetail.as_view(), name="api_offer_request"),
    path(
        "offer-requests/<int:request_id>/state/",
        offer_requests.OfferRequestState.as_view(),
        name="api_offer_request_state",
    ),
]
