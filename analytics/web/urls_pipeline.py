from django.urls import path

from analytics.web import contacts, leads, opportunities, pipeline

urlpatterns = [
    path("pipeline/", pipeline.board, name="insights_pipeline"),
    path("pipeline/list/", pipeline.listing, name="insights_opportunities"),
    path("pipeline/forecast/", pipeline.forecast, name="insights_forecast"),
    path("pipeline/leads/", leads.page_of_all, name="insights_leads"),
    path("pipeline/leads/new/", leads.new, name="insights_lead_new"),
    path("pipeline/leads/import/", leads.from_file, name="insights_leads_import"),
    path("pipeline/leads/of-request/<int:request_id>/", leads.of_request, name="insights_request"),
    path("pipeline/leads/<int:lead_id>/", leads.page, name="insights_lead"),
    path("pipeline/leads/<int:lead_id>/<slug:what>/", leads.act, name="insights_lead_act"),
    path("pipeline/leads/from-card/<int:card_id>/", leads.from_card, name="insights_card_lead"),
    path("pipeline/<int:opportunity_id>/", opportunities.page, name="insights_opportunity"),
    path(
        "pipeline/<int:opportunity_id>/criteria/<slug:criterion>/",
        opportunities.confirm,
        name="insights_opportunity_confirm",
    ),
    path(
        "pipeline/<int:opportunity_id>/group/<int:contact_id>/leave/",
        opportunities.leave_group,
        name="insights_opportunity_leave_group",
    ),
    path(
        "pipeline/<int:opportunity_id>/objections/<int:objection_id>/",
        opportunities.answer,
        name="insights_objection_answer",
    ),
    path("pipeline/<int:opportunity_id>/<slug:what>/", opportunities.act, name="insights_opportunity_act"),
    path("customers/<int:account_id>/contacts/", contacts.of_account, name="insights_customer_contacts"),
    path("customers/<int:account_id>/contacts/part/", contacts.part, name="insights_customer_contacts_part"),
    path("customers/<int:account_id>/opportunity/", opportunities.new, name="insights_opportunity_new"),
    path("contacts/<int:contact_id>/", contacts.edit, name="insights_contact"),
    path("contacts/<int:contact_id>/remove/", contacts.remove, name="insights_contact_remove"),
]
