from django.urls import path

from analytics.web import cards, customer_lines, customers, queue, results, results_cards, team

urlpatterns = [
    path("queue/", queue.queue, name="insights_queue"),
    path("cards/<int:card_id>/", cards.card, name="insights_card"),
    path("cards/<int:card_id>/<slug:what>/", cards.act, name="insights_card_act"),
    path("cards/events/<int:event_id>/undo/", cards.undo, name="insights_undo"),
    path("customers/", customers.customers, name="insights_customers"),
    path("customers/<int:account_id>/", customers.customer, name="insights_customer"),
    path("customers/<int:account_id>/purchases/", customer_lines.lines, name="insights_customer_lines"),
    path("customers/<int:account_id>/note/", customers.note, name="insights_customer_note"),
    path("customers/<int:account_id>/strategic/", customers.strategic, name="insights_customer_strategic"),
    path("customers/<int:account_id>/hand-over/", customers.hand_over, name="insights_customer_hand_over"),
    path("results/", results.results, name="insights_results"),
    path("results/live/", results.live, name="insights_results_live"),
    path("results/cards/", results_cards.cards, name="insights_results_cards"),
    path("results/insights.xlsx", results.workbook, name="insights_results_xlsx"),
    path("team/", team.team, name="insights_team"),
    path("team/<int:person_id>/capacity/", team.capacity, name="insights_capacity"),
    path("territories/", team.territories, name="insights_territories"),
    path("territories/new/", team.territory, name="insights_territory_new"),
    path("territories/<int:territory_id>/", team.territory, name="insights_territory"),
    path("territories/<int:territory_id>/hand-over/", team.hand_over, name="insights_territory_hand_over"),
    path("territories/<int:territory_id>/delete/", team.delete, name="insights_territory_delete"),
]
