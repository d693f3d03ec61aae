from django.urls import URLPattern, URLResolver, path

from procurement.web import tenders

urlpatterns: list[URLPattern | URLResolver] = [
    path("procedures/<str:number>/", tenders.overview, name="tender"),
]
