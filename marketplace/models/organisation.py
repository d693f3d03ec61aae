"""Organisations: who buys and who supplies."""

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _


class OrganisationStatus(models.TextChoices):
    DRAFT = "draft", _("Registration not finished")
    REGISTERED = "registered", _("Registered")
    SUSPENDED = "suspended", _("Suspended")


class Heading(models.Model):
    """A node of the tree of what is bought and sold (CPV codes): headings offered and consumed, categories of items."""

    code = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=200)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Organisation(models.Model):
    country = models.CharField(_("country"), max_length=2, help_text=_("ISO 3166-1 alpha-2"))
    legal_form = models.CharField(_("legal form"), max_length=80, blank=True)
    full_name = models.CharField(_("full name"), max_length=300)
    short_name = models.CharField(_("short name"), max_length=120)
    status = models.CharField(max_length=16, choices=OrganisationStatus, default=OrganisationStatus.DRAFT)
    is_buyer = models.BooleanField(_("we buy"), default=False)
    is_supplier = models.BooleanField(_("we supply"), default=False)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("phone"), max_length=32, blank=True)
    website = models.URLField(_("website"), blank=True)
    headings_offered = models.ManyToManyField(Heading, related_name="offered_by", blank=True)
    headings_consumed = models.ManyToManyField(Heading, related_name="consumed_by", blank=True)
    # Raised by every change of requisites: what is signed names it, and a stale form is told by it.
    version = models.PositiveIntegerField(default=1)
    registered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["short_name", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=OrganisationStatus.values), name="organisation_status_known"
            ),
        ]
        indexes = [
            # Searched without regard to case, as UPPER(name) LIKE UPPER('%part%').
            GinIndex(OpClass(Upper("short_name"), name="gin_trgm_ops"), name="organisation_short_search"),
            GinIndex(OpClass(Upper("full_name"), name="gin_trgm_ops"), name="organisation_full_search"),
            models.Index(fields=["status", "short_name"], name="organisation_status_name"),
        ]

    def __str__(self) -> str:
        return self.short_name


class Scheme(models.TextChoices):
    """What kind of number identifies an organisation; checked by country in rules of services/organisations."""

    INN = "INN", _("INN (taxpayer number)")
    KPP = "KPP", _("KPP (reason code)")
    OGRN = "OGRN", _("OGRN (state register number)")
    VAT = "VAT", _("VAT number")
    TIN = "TIN", _("Taxpayer number")
    NTR = "NTR", _("Trade register number")


class OrganisationIdentifier(models.Model):
    """A legal registration number. A signing certificate must carry one of them in ETSI form: `VATDE-811569869`."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="identifiers")
    country = models.CharField(max_length=2)
    scheme = models.CharField(max_length=8, choices=Scheme)
    value = models.CharField(max_length=40)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["value"], name="identifier_value")]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "scheme"], name="identifier_once_per_scheme"),
            # Two companies may share a KPP; every other number names one organisation only.
            models.UniqueConstraint(
                fields=["country", "scheme", "value"], condition=~models.Q(scheme="KPP"), name="identifier_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scheme} {self.value}"

    @property
    def semantic(self) -> str:
        """The number as a certificate's organizationIdentifier carries it (ETSI EN 319 412-1, 5.1.4)."""
        prefix = {"INN": "TIN", "OGRN": "NTR"}.get(self.scheme, self.scheme)
        value = self.value.removeprefix(self.country) if self.scheme == "VAT" else self.value
        return f"{prefix}{self.country}-{value}"


class AddressKind(models.TextChoices):
    LEGAL = "legal", _("Legal address")
    ACTUAL = "actual", _("Actual address")
    POSTAL = "postal", _("Postal address")


class Address(models.Model):
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="addresses")
    kind = models.CharField(max_length=8, choices=AddressKind)
    country = models.CharField(_("country"), max_length=2)
    region = models.CharField(_("region"), max_length=120, blank=True)
    city = models.CharField(_("city"), max_length=120)
    postal_code = models.CharField(_("postal code"), max_length=16, blank=True)
    street = models.CharField(_("street and number"), max_length=300)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["organisation", "kind"], name="address_once_per_kind")]

    def __str__(self) -> str:
        return ", ".join(part for part in (self.street, self.postal_code, self.city, self.region, self.country) if part)


class RegistrationDraft(models.Model):
    """What a person typed into a step of the registration and has not sent yet, so that nothing is lost."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    step = models.CharField(max_length=16)
    typed = models.JSONField(default=dict, help_text="field name to the list of its raw values")
    saved_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "step"], name="registration_draft_once")]
