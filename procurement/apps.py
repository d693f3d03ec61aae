from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProcurementConfig(AppConfig):
    name = "procurement"
    verbose_name = _("Procurement")

    def ready(self) -> None:
        # Models are loaded only now.
        from marketplace import rotation, signed_actions, waiting
        from procurement.queries import deliveries, offer_requests, operations, waiting_bids, waiting_custody
        from procurement.queries import waiting as own
        from procurement.services import signed_actions as own_signed_actions
        from procurement.services import wrapped_secrets

        for source in wrapped_secrets.sources():
            rotation.register(source)
        waiting.register_tasks(waiting_custody.tasks)
        waiting.register_tasks(own.tasks)
        waiting.register_tasks(deliveries.tasks)
        waiting.register_tasks(offer_requests.tasks)
        waiting.register_tasks(operations.tasks)
        waiting.register_figures(own.figures)
        waiting.register_panels(own.panels)
        waiting.register_tasks(waiting_bids.tasks)
        waiting.register_panels(waiting_bids.panels)
        waiting.register_public(own.public)
        for action in own_signed_actions.ACTIONS:
            signed_actions.register(action)
