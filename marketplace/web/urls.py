from django.conf import settings
from django.urls import include, path

from marketplace.web import design, health, home

urlpatterns = [
    path("", home.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("accreditation/", include("marketplace.web.urls_accreditation")),
    path("tariffs/", include("marketplace.web.urls_tariffs")),
    path("staff/", include("marketplace.web.urls_staff")),
]

if settings.DEBUG:
    urlpatterns += [path("design/", design.gallery, name="design")]
