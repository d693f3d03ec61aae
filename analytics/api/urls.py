from django.urls import URLPattern, path

from analytics.api import cards, pipeline, purchases

urlpatterns: list[URLPattern] = [
    path("insights/cards/", cards.Cards.as_view(), name="api_insights_cards"),
    path("insights/leads/", pipeline.Leads.as_view(), name="api_insights_leads"),
    path("insights/purchases/", purchases.Purchases.as_view(), name="api_insights_purchases"),
    path("insights/purchases/<int:import_id>/", purchases.Purchase.as_view(), name="api_insights_purchase"),
    path("insights/history/", purchases.History.as_view(), name="api_insights_history"),
    path("insights/runs/", purchases.Runs.as_view(), name="api_insights_runs"),
    path("insights/runs/<int:run_id>/", purchases.Run.as_view(), name="api_insights_run"),
    path("insights/opportunities/", pipeline.Opportunities.as_view(), name="api_insights_opportunities"),
]
