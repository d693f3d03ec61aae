from django.urls import path

from marketplace.web import organisation, people

urlpatterns = [
    path("", organisation.requisites, name="organisation"),
    path("edit/", organisation.edit, name="organisation_edit"),
    path("edit/places/", organisation.edit_places, name="organisation_places"),
    path("people/", people.page, name="organisation_people"),
    path("people/<int:membership_id>/roles/", people.roles, name="member_roles"),
    path("people/<int:membership_id>/end/", people.end, name="member_end"),
    path("invitations/<int:invitation_id>/<slug:act>/", people.invitation_act, name="invitation_act"),
    path("certificates/", organisation.certificates, name="organisation_certificates"),
    path("tokens/", organisation.api_tokens, name="organisation_tokens"),
    path("tokens/<int:token_id>/revoke/", organisation.revoke_token, name="token_revoke"),
    path("history/", organisation.audit_log, name="organisation_history"),
    path("switch/", organisation.switch, name="switch_organisation"),
]
