from django.urls import URLPattern, URLResolver, path

from procurement.web import proof

urlpatterns: list[URLPattern | URLResolver] = [
    path("procedures/<str:number>/proof/", proof.page, name="tender_proof"),
    path("procedures/<str:number>/proof/roll.json", proof.roll_file, name="roll_file"),
    path("procedures/<str:number>/proof/timestamp.tsr", proof.timestamp_file, name="roll_timestamp"),
    path("procedures/<str:number>/export/", proof.export, name="procedure_export"),
    path("procedures/<str:number>/export/<int:export_id>/", proof.export_state, name="procedure_export_state"),
    path("procedures/<str:number>/export/<int:export_id>/file/", proof.export_file, name="procedure_export_file"),
    path("bids/<int:bid_id>/proof.json", proof.bid_proof, name="bid_proof"),
    path("receipts/keys.json", proof.receipt_keys, name="receipt_keys"),
]
