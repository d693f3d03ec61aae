from django.urls import URLPattern, URLResolver, path

from procurement.api import tenders

urlpatterns: list[URLPattern | URLResolver] = [
    path("tenders/", tenders.TenderList.as_view(), name="api_tenders"),
    path("tenders/<str:number>/", tenders.TenderDetail.as_view(), name="api_tender"),
    path("tenders/<str:number>/lots/", tenders.TenderLots.as_view(), name="api_tender_lots"),
    path("lots/<int:lot_id>/", tenders.LotDetail.as_view(), name="api_lot"),
]
