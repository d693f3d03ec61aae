from django.urls import URLPattern, URLResolver, path

from procurement.web import offer_requests

urlpatterns: list[URLPattern | URLResolver] = [
    path("companies/<int:organisation_id>/ask/", offer_requests.ask, name="offer_ask"),
    path("requests/", offer_requests.page_of_all, name="offer_requests"),
    path("requests/ask/", offer_requests.ask, name="offer_ask_platform"),
    path("requests/<int:request_id>/", offer_requests.page, name="offer_request"),
    path("requests/<int:request_id>/<slug:what>/", offer_requests.act, name="offer_request_act"),
]
