from django.urls import URLPattern, URLResolver, path

from procurement.api import bid_sealing, bids

urlpatterns: list[URLPattern | URLResolver] = [
    path("bids/", bids.BidList.as_view(), name="api_bids"),
    path("bids/<int:bid_id>/", bids.BidDetail.as_view(), name="api_bid"),
    path("bids/<int:bid_id>/documents/", bids.BidDocuments.as_view(), name="api_bid_documents"),
    path("bids/<int:bid_id>/documents/<int:file_id>/", bids.BidDocument.as_view(), name="api_bid_document"),
    path(
        "bids/<int:bid_id>/documents/<int:file_id>/sealed/",
        bid_sealing.BidSealedDocument.as_view(),
        name="api_bid_sealed_document",
    ),
    path("bids/<int:bid_id>/sealing/", bid_sealing.BidSealingTerms.as_view(), name="api_bid_sealing"),
    path("bids/<int:bid_id>/uploads/", bid_sealing.BidUploads.as_view(), name="api_bid_uploads"),
    path("bids/<int:bid_id>/uploads/<uuid:token>/", bid_sealing.BidUploadParts.as_view(), name="api_bid_upload"),
    path(
        "bids/<int:bid_id>/uploads/<uuid:token>/finish/",
        bid_sealing.BidUploadFinish.as_view(),
        name="api_bid_upload_finish",
    ),
    path("bids/<int:bid_id>/prepare-sealed/", bid_sealing.BidPrepareSealed.as_view(), name="api_bid_prepare_sealed"),
    path("bids/<int:bid_id>/prepare/", bids.BidPrepare.as_view(), name="api_bid_prepare"),
    path("bids/<int:bid_id>/submit/", bids.BidSubmit.as_view(), name="api_bid_submit"),
    path(
        "bids/<int:bid_id>/prepare-withdrawal/", bids.BidPrepareWithdrawal.as_view(), name="api_bid_prepare_withdrawal"
    ),
    path("bids/<int:bid_id>/withdraw/", bids.BidWithdraw.as_view(), name="api_bid_withdraw"),
    path("bids/<int:bid_id>/receipts/<int:version>/", bids.BidReceipt.as_view(), name="api_bid_receipt"),
]
