from django.urls import include, path
from django.views.generic import RedirectView

from analytics.web import accounts

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="insights_queue"), name="insights"),
    path("accounts/", accounts.accounts, name="insights_accounts"),
    path("accounts/<int:organisation_id>/", accounts.account, name="insights_account"),
    path("accounts/<int:organisation_id>/contracts/", accounts.contracts, name="insights_contracts"),
    path("", include("analytics.web.urls_cards")),
    path("", include("analytics.web.urls_history")),
    path("", include("analytics.web.urls_pipeline")),
]
