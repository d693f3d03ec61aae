from django.urls import path

from marketplace.web import tariffs

urlpatterns = [
    path("", tariffs.compare, name="tariffs"),
    path("plans/<int:plan_id>/subscribe/", tariffs.subscribe, name="subscribe"),
    path("invoices/", tariffs.invoices, name="invoices"),
    path("invoices/<int:invoice_id>/", tariffs.invoice, name="invoice"),
    path("invoices/<int:invoice_id>/cancel/", tariffs.cancel, name="invoice_cancel"),
]
