"""How forms are rendered."""

from django.forms.renderers import TemplatesSetting


class OpenlotRenderer(TemplatesSetting):
    """Forms use the templates of the project (templates/django/forms/)."""
