from django.urls import path

from marketplace.web import accreditation

urlpatterns = [
    path("documents/<int:document_id>/", accreditation.document, name="accreditation_document"),
    path("<slug:side>/", accreditation.request_page, name="accreditation"),
    path("<slug:side>/begin/", accreditation.begin, name="accreditation_begin"),
    path("<slug:side>/documents/", accreditation.add_document, name="accreditation_add"),
    path("<slug:side>/documents/<int:document_id>/remove/", accreditation.remove_document, name="accreditation_remove"),
    path("<slug:side>/sign/", accreditation.sign, name="accreditation_sign"),
]
