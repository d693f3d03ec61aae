from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AnalyticsConfig(AppConfig):
    name = "analytics"
    verbose_name = _("Analytics")

    def ready(self) -> None:
        # Models are loaded only now.
        from analytics.queries import waiting as own
        from analytics.web import waiting_pipeline
        from marketplace import waiting

        waiting.register_tasks(own.tasks)
        waiting.register_figures(own.figures)
        waiting.register_panels(own.panels)
        waiting.register_tasks(waiting_pipeline.tasks)
