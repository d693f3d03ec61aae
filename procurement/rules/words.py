"""Words of the pure modules: marked here for the translators, translated where they are shown."""


def gettext_noop(text: str) -> str:
    """The text itself. The name is the one by which extraction finds strings (GNU gettext, Django)."""
    return text
