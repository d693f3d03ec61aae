"""Ties to django-allauth, which does log-in, e-mail confirmation, passwords, second factors and passkeys."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People sign up through the wizard at /signup/, where registration of the organisation goes on."""
        return False
