from django.urls import URLPattern, URLResolver, path

from procurement.web import deliveries

urlpatterns: list[URLPattern | URLResolver] = [
    path("contracts/<str:number>/deliveries.csv", deliveries.as_csv, name="deliveries_csv"),
    path("contracts/<str:number>/deliveries.xlsx", deliveries.as_xlsx, name="deliveries_xlsx"),
    path("contracts/<str:number>/deliveries/new/", deliveries.new, name="delivery_new"),
    path("contracts/<str:number>/deliveries/<int:delivery>/", deliveries.page, name="delivery"),
    path("contracts/<str:number>/deliveries/<int:delivery>/return/", deliveries.give_back, name="delivery_return"),
    path("contracts/<str:number>/deliveries/<int:delivery>/<slug:what>/", deliveries.act, name="delivery_act"),
]
