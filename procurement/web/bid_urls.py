from django.urls import URLPattern, URLResolver, path

from procurement.web import bid_editing, bid_sending, bids, receipts

urlpatterns: list[URLPattern | URLResolver] = [
    path("procedures/<str:number>/lots/<int:lot>/bid/", bids.start, name="bid_start"),
    path("bids/", bids.my_bids, name="my_bids"),
    path("bids/<int:bid_id>/", bids.detail, name="bid"),
    path("bids/<int:bid_id>/edit/", bid_editing.edit, name="bid_edit"),
    path("bids/<int:bid_id>/files/<int:file_id>/", bid_editing.download_file, name="bid_file"),
    path("bids/<int:bid_id>/files/<int:file_id>/remove/", bid_editing.remove_file, name="bid_file_remove"),
    path("bids/<int:bid_id>/discard/", bid_editing.discard, name="bid_discard"),
    path("bids/<int:bid_id>/review/", bid_editing.review, name="bid_review"),
    path("bids/<int:bid_id>/sign/<str:nonce>/", bid_sending.sign, name="bid_sign"),
    path("bids/<int:bid_id>/withdraw/", bid_sending.withdraw, name="bid_withdraw"),
    path("bids/<int:bid_id>/receipts/<int:version>/", receipts.receipt, name="bid_receipt"),
    path("bids/<int:bid_id>/receipts/<int:version>/<str:kind>.json", receipts.download, name="bid_receipt_file"),
    path("receipts/verify/", receipts.verify, name="receipt_verify"),
]
