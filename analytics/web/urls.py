from django.urls import path

from analytics.web import accounts

urlpatterns = [
    path("", accounts.accounts, name="insights"),
    path("accounts/<int:organisation_id>/", accounts.account, name="insights_account"),
    path("accounts/<int:organisation_id>/contracts/", accounts.contracts, name="insights_contracts"),
]
