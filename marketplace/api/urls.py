from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from marketplace.api.me import Me
from marketplace.api.waiting_signatures import WaitingSignature

urlpatterns = [
    path("me/", Me.as_view(), name="api_me"),
    path("signatures/<int:queued_id>/", WaitingSignature.as_view(), name="api_waiting_signature"),
    path("schema/", SpectacularAPIView.as_view(permission_classes=[]), name="api_schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api_schema", permission_classes=[]), name="api_docs"),
]
