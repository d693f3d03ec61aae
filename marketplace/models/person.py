"""People, the roles they hold in organisations, and the platform's own staff."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _
from phonenumber_field.modelfields import PhoneNumberField


class Role(models.TextChoices):
    """What a person may do for an organisation."""

    ADMINISTRATOR = "administrator", _("Administrator")
    SIGNER = "signer", _("Signer")
    OFFICER = "officer", _("Buyer's officer")
    BID_MANAGER = "bid_manager", _("Bid manager")
    APPROVER = "approver", _("Approver")
    EVALUATOR = "evaluator", _("Evaluator")
    REPRESENTATIVE = "representative", _("Sales representative")
    SALES_MANAGER = "sales_manager", _("Sales manager")
    OBSERVER = "observer", _("Observer")


class StaffRole(models.TextChoices):
    """What a person may do for the platform itself."""

    OPERATOR = "operator", _("Operator")
    TARIFF_MANAGER = "tariff_manager", _("Tariff manager")
    REPRESENTATIVE = "representative", _("Representative")
    SALES_MANAGER = "sales_manager", _("Sales manager")
    AUDITOR = "auditor", _("Auditor")


class PersonManager(BaseUserManager["Person"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> Person:
        person = self.model(email=self.normalize_email(email).lower(), **fields)
        person.set_password(password)
        person.save(using=self._db)
        return person

    def get_by_natural_key(self, username: str | None) -> Person:
        return self.get(email=(username or "").lower())


class Person(AbstractBaseUser):
    email = models.EmailField(_("e-mail"), unique=True)
    full_name = models.CharField(_("name"), max_length=200, blank=True)
    phone = PhoneNumberField(_("phone"), blank=True)
    position = models.CharField(_("position"), max_length=120, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    staff_roles = ArrayField(models.CharField(max_length=16, choices=StaffRole), default=list, blank=True)
    is_active = models.BooleanField(default=True)
    date_joined = models.DateTimeField(auto_now_add=True)

    objects = PersonManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS = []

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")

    def __str__(self) -> str:
        return self.full_name or self.email

    def get_full_name(self) -> str:
        return self.full_name

    @property
    def is_staff(self) -> bool:
        return bool(self.staff_roles)


class Membership(models.Model):
    """A person's roles in one organisation. Ended, never deleted: past acts keep their author."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="memberships")
    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="memberships")
    roles = ArrayField(models.CharField(max_length=16, choices=Role), default=list)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["person", "organisation"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.person} · {self.organisation}"


class Invitation(models.Model):
    """A colleague invited by e-mail. The link's secret is kept as its SHA-256 only."""

    organisation = models.ForeignKey("marketplace.Organisation", on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(_("e-mail"))
    roles = ArrayField(models.CharField(max_length=16, choices=Role), default=list)
    token_sha256 = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]


class StaffRoleProposal(models.Model):
    """Roles on the platform that a second operator has to confirm; deleted once decided, the audit trail keeps it."""

    person = models.OneToOneField(Person, on_delete=models.CASCADE, related_name="+")
    roles = ArrayField(models.CharField(max_length=16, choices=StaffRole), default=list)
    proposed_by = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    proposed_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]


class ApiToken(models.Model):
    """A token for the API, bound to one membership. Shown once; kept as its SHA-256 only."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=80)
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="empty: only where the platform made it")
    read_only = models.BooleanField(default=False)

    class Meta:
        ordering = ["-pk"]
