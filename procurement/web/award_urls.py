from django.urls import URLPattern, URLResolver, path

from procurement.web import awards, contracts, opening, protocols

urlpatterns: list[URLPattern | URLResolver] = [
    path("procedures/<str:number>/protocol/", opening.protocol, name="opening_protocol"),
    path("procedures/<str:number>/protocol/<str:kind>/sign/", protocols.prepare, name="protocol_prepare"),
    path("procedures/<str:number>/protocol/<str:kind>/sign/<str:nonce>/", protocols.sign, name="protocol_sign"),
    path("procedures/<str:number>/lots/<int:lot>/comparison/", opening.comparison, name="comparison"),
    path("procedures/<str:number>/lots/<int:lot>/comparison.csv", opening.comparison_csv, name="comparison_csv"),
    path("procedures/<str:number>/lots/<int:lot>/admit/", opening.admit_all, name="bids_admit"),
    path("procedures/<str:number>/bids/<int:bid_id>/admit/", opening.admit, name="bid_admit"),
    path("procedures/<str:number>/bids/<int:bid_id>/reject/", opening.reject, name="bid_reject"),
    path("procedures/<str:number>/bids/<int:bid_id>/files/<int:file_id>/", opening.download, name="opened_file"),
    path("procedures/<str:number>/lots/<int:lot>/award/", awards.propose, name="award"),
    path("procedures/<str:number>/lots/<int:lot>/award/<str:nonce>/", awards.sign, name="award_sign"),
    path("procedures/<str:number>/lots/<int:lot>/fall-away/", awards.fall_away, name="award_fall_away"),
    path("contracts/", contracts.list_page, name="contracts"),
    path("contracts/<str:number>/", contracts.detail, name="contract"),
    path("contracts/<str:number>/edit/", contracts.edit, name="contract_edit"),
    path("contracts/<str:number>/sign/", contracts.prepare, name="contract_prepare"),
    path("contracts/<str:number>/sign/<str:nonce>/", contracts.sign, name="contract_sign"),
]
