from django.urls import URLPattern, path

from analytics.api import cards, pipeline

urlpatterns: list[URLPattern] = [
    path("insights/cards/", cards.Cards.as_view(), name="api_insights_cards"),
    path("insights/leads/", pipeline.Leads.as_view(), name="api_insights_leads"),
    path("insights/opportunities/", pipeline.Opportunities.as_view(), name="api_insights_opportunities"),
]
