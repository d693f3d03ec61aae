from django.urls import path

from analytics.web import merges, purchases, same_sales, scoring_runs

urlpatterns = [
    path("purchases/", purchases.purchases, name="insights_purchases"),
    path("purchases/currency/", purchases.currency, name="insights_currency"),
    path("purchases/<int:import_id>/", purchases.one, name="insights_import"),
    path("purchases/<int:import_id>/columns/", purchases.columns, name="insights_import_columns"),
    path("purchases/<int:import_id>/load/", purchases.load, name="insights_import_load"),
    path("purchases/<int:import_id>/discard/", purchases.discard, name="insights_import_discard"),
    path("purchases/<int:import_id>/undo/", purchases.undo, name="insights_import_undo"),
    path("purchases/<int:import_id>/rejects/", purchases.rejects, name="insights_import_rejects"),
    path("same-sales/", same_sales.same_sales, name="insights_same_sales"),
    path("same-sales/<int:same_sale_id>/<slug:what>/", same_sales.say, name="insights_same_sale"),
    path("merges/", merges.merges, name="insights_merges"),
    path("merges/<int:merge_id>/undo/", merges.undo, name="insights_merge_undo"),
    path("merges/<int:merge_id>/bring/", merges.bring, name="insights_merge_bring"),
    path("runs/", scoring_runs.runs, name="insights_runs"),
    path("runs/start/", scoring_runs.start, name="insights_run_start"),
    path("runs/<int:run_id>/", scoring_runs.one, name="insights_run"),
    path("runs/<int:run_id>/retry/", scoring_runs.retry, name="insights_run_retry"),
]
