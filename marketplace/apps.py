from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MarketplaceConfig(AppConfig):
    name = "marketplace"
    verbose_name = _("Marketplace")

    def ready(self) -> None:
        # Models are loaded only now.
        from marketplace import rotation, signed_actions, waiting
        from marketplace.queries import waiting as own
        from marketplace.queries import waiting_trust
        from marketplace.services import accreditations, key_rotation

        signed_actions.register(accreditations.SIGNED_ACTION)
        rotation.register(key_rotation.second_factors())
        waiting.register_tasks(own.tasks)
        waiting.register_tasks(waiting_trust.tasks)
        waiting.register_figures(own.figures)
        waiting.register_panels(own.panels)
