"""Ties to django-allauth, which does log-in, e-mail confirmation, passwords, second factors and passkeys."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.sites.shortcuts import get_current_site
from django.http import HttpRequest

from marketplace.shared import jobs


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People sign up through the wizard at /signup/, where registration of the organisation goes on."""
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Through the queue like every mail: a mail server that does not answer must not hold up a page."""
        site = get_current_site(self.request)
        known = {"request": self.request, "email": email, "current_site": site}
        message = self.render_mail(template_prefix, email, known | context)
        jobs.enqueue("marketplace.tasks.send_mail", email, message.subject, message.body)
