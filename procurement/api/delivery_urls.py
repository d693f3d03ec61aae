from django.urls import URLPattern, URLResolver, path

from procurement.api import deliveries

urlpatterns: list[URLPattern | URLResolver] = [
    path("contracts/<str:number>/deliveries/", deliveries.Deliveries.as_view(), name="api_deliveries"),
    path("contracts/<str:number>/deliveries/<int:delivery>/", deliveries.DeliveryDetail.as_view(), name="api_delivery"),
    path(
        "contracts/<str:number>/deliveries/<int:delivery>/state/",
        deliveries.DeliveryState.as_view(),
        name="api_delivery_state",
    ),
    path(
        "contracts/<str:number>/deliveries/<int:delivery>/returns/",
        deliveries.DeliveryReturns.as_view(),
        name="api_delivery_returns",
    ),
]
