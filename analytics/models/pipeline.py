"""The sales pipeline: contacts of an account, leads, opportunities and every step taken on them."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from phonenumber_field.modelfields import PhoneNumberField

from analytics.models.pipeline_names import (
    BUYING_ROLE_NAMES,
    LEAD_NAMES,
    LOST_NAMES,
    OPPORTUNITY_NAMES,
    OWNERSHIP_NAMES,
    RESULT_NAMES,
    STAGE_NAMES,
    STEP_NAMES,
    WON_NAMES,
    choices,
)
from analytics.rules.pipeline import FOLLOW_UPS, LeadState, OpportunityState, Stage
from marketplace.models import Person


class LeadSource(models.TextChoices):
    REQUEST = "request", _("Request by the customer")
    CARD = "card", _("Card of the queue")
    IMPORT = "import", _("Import")
    PROGRAM = "program", _("Another system")
    OWN = "own", _("Found by a representative")


class Contact(models.Model):
    """A person at an account. Removed ones are kept without name and address: the steps taken keep their meaning."""

    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="contacts")
    name = models.CharField(_("name"), max_length=200)
    position = models.CharField(_("position"), max_length=120, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = PhoneNumberField(_("phone"), blank=True)
    note = models.CharField(_("note"), max_length=500, blank=True)
    # The same person at the account that this one was merged into: shown there, and here again once they are parted.
    joined_into = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="joined")
    removed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1, db_default=1)

    class Meta:
        ordering = ["name", "pk"]

    def __str__(self) -> str:
        return self.name or str(_("A removed contact"))

    @property
    def reachable(self) -> bool:
        return bool(self.email or self.phone) and self.removed_at is None


class Lead(models.Model):
    """Somebody who may buy: not yet an opportunity. The account is known or not."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="leads")
    account = models.ForeignKey(
        "analytics.Account", on_delete=models.SET_NULL, null=True, blank=True, related_name="leads"
    )
    card = models.OneToOneField("analytics.Card", on_delete=models.SET_NULL, null=True, blank=True, related_name="lead")
    source = models.CharField(_("source"), max_length=8, choices=LeadSource)
    # What another system calls it: the same reference never makes a second lead.
    reference = models.CharField(_("reference"), max_length=80, blank=True)
    company = models.CharField(_("company"), max_length=200)
    country = models.CharField(_("country"), max_length=2, blank=True)
    contact_name = models.CharField(_("contact"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = PhoneNumberField(_("phone"), blank=True)
    need = models.TextField(_("what they ask for"), max_length=2000, blank=True)
    status = models.CharField(_("state"), max_length=12, choices=choices(LEAD_NAMES), default=LeadState.NEW.value)
    # BANT as {"budget": "yes", …} and GPCT as {"goals": "…", …}: rules.qualification.
    bant = models.JSONField(default=dict, blank=True)
    gpct = models.JSONField(default=dict, blank=True)
    given_up_because = models.CharField(_("why it was given up"), max_length=500, blank=True)
    representative = models.ForeignKey(
        Person, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("representative")
    )
    registered_by = models.ForeignKey(Person, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    touched_at = models.DateTimeField()
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["book", "source", "reference"],
                condition=~models.Q(reference=""),
                name="lead_reference_once",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=[state.value for state in LeadState]), name="lead_state_known"
            ),
        ]
        indexes = [models.Index(fields=["book", "status", "-created_at", "-id"], name="lead_list")]

    def __str__(self) -> str:
        return self.company

    def get_absolute_url(self) -> str:
        return reverse("insights_lead", args=[self.pk])


class LeadRequest(models.Model):
    """A request for an offer that a lead was made of, or that came once more while the lead was open."""

    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="requests")
    request = models.OneToOneField("procurement.OfferRequest", on_delete=models.PROTECT, related_name="in_pipeline")
    taken_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]


class LeadCard(models.Model):
    """A card whose account had an open lead already, of its own or of another card, and that was added to it."""

    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, related_name="further_cards")
    card = models.OneToOneField("analytics.Card", on_delete=models.CASCADE, related_name="added_to")
    added_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]


class Opportunity(models.Model):
    """A sale somebody works on, in one of seven stages. Open ones always have a next step with a date: the database
    looks when a transaction ends (migration 0022)."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="opportunities")
    account = models.ForeignKey("analytics.Account", on_delete=models.PROTECT, related_name="opportunities")
    lead = models.OneToOneField(Lead, on_delete=models.SET_NULL, null=True, blank=True, related_name="opportunity")
    card = models.ForeignKey(
        "analytics.Card", on_delete=models.SET_NULL, null=True, blank=True, related_name="opportunities"
    )
    title = models.CharField(_("what is sold"), max_length=200)
    stage = models.CharField(_("stage"), max_length=12, choices=choices(STAGE_NAMES), default=Stage.PROSPECTING.value)
    status = models.CharField(
        _("state"), max_length=4, choices=choices(OPPORTUNITY_NAMES), default=OpportunityState.OPEN.value
    )
    amount = models.DecimalField(
        _("expected amount"), max_digits=18, decimal_places=4, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    currency = models.CharField(_("currency"), max_length=3)
    closes_on = models.DateField(_("expected closing"), null=True, blank=True)
    bant = models.JSONField(default=dict, blank=True)
    gpct = models.JSONField(default=dict, blank=True)
    # Exit criteria that a person has confirmed: rules.pipeline.CONFIRMED.
    confirmed = models.JSONField(default=list, blank=True)
    representative = models.ForeignKey(
        Person, on_delete=models.PROTECT, related_name="+", verbose_name=_("representative")
    )
    created_at = models.DateTimeField()
    stage_since = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    won_because = models.CharField(_("why it was won"), max_length=12, choices=choices(WON_NAMES), blank=True)
    lost_because = models.CharField(_("why it was lost"), max_length=12, choices=choices(LOST_NAMES), blank=True)
    outcome_note = models.CharField(_("note on the outcome"), max_length=1000, blank=True)
    version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name_plural = "opportunities"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status=OpportunityState.OPEN.value, closed_at=None)
                | models.Q(status=OpportunityState.WON.value, closed_at__isnull=False)
                | models.Q(status=OpportunityState.LOST.value, closed_at__isnull=False),
                name="opportunity_closed_when_decided",
            ),
            models.CheckConstraint(
                condition=models.Q(stage__in=[stage.value for stage in Stage]), name="opportunity_stage_known"
            ),
        ]
        indexes = [
            models.Index(fields=["book", "status", "stage"], name="opportunity_board"),
            models.Index(fields=["representative", "status"], name="opportunity_own"),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse("insights_opportunity", args=[self.pk])


class GroupMember(models.Model):
    """A contact of the buying group of an opportunity, and the part it plays."""

    opportunity = models.ForeignKey(Opportunity, on_delete=models.CASCADE, related_name="group")
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(_("part in the decision"), max_length=16, choices=choices(BUYING_ROLE_NAMES))

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["opportunity", "contact"], name="contact_once_in_group")]


class Step(models.Model):
    """What is to be done next, and what came of it."""

    opportunity = models.ForeignKey(Opportunity, on_delete=models.CASCADE, related_name="steps")
    contact = models.ForeignKey(Contact, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    kind = models.CharField(_("what"), max_length=12, choices=choices(STEP_NAMES))
    # Which of the five follow-ups this is; None for any other step.
    follow_up = models.PositiveSmallIntegerField(null=True, blank=True)
    text = models.CharField(_("note"), max_length=1000, blank=True)
    due_on = models.DateField(_("on"))
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", verbose_name=_("who"))
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    result = models.CharField(_("result"), max_length=12, choices=choices(RESULT_NAMES), blank=True)
    result_note = models.CharField(_("what was said"), max_length=1000, blank=True)
    reminded_on = models.DateField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["due_on", "pk"]
        constraints = [
            # The next step is one: two would be none.
            models.UniqueConstraint(fields=["opportunity"], condition=models.Q(done_at=None), name="one_next_step"),
            models.UniqueConstraint(fields=["opportunity", "follow_up"], name="follow_up_once"),
            models.CheckConstraint(
                condition=models.Q(follow_up=None) | models.Q(follow_up__gte=1, follow_up__lte=FOLLOW_UPS),
                name="follow_up_number",
            ),
        ]
        indexes = [
            models.Index(fields=["person", "due_on"], condition=models.Q(done_at=None), name="step_due"),
        ]

    def __str__(self) -> str:
        return self.text or str(self.get_kind_display())


class Objection(models.Model):
    """What speaks against it, and what was answered."""

    opportunity = models.ForeignKey(Opportunity, on_delete=models.CASCADE, related_name="objections")
    text = models.CharField(_("objection"), max_length=1000)
    answer = models.CharField(_("answer"), max_length=1000, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]


class StageMove(models.Model):
    """A move between stages; append-only: the forecast learns from it."""

    opportunity = models.ForeignKey(Opportunity, on_delete=models.CASCADE, related_name="moves")
    before = models.CharField(max_length=12, choices=choices(STAGE_NAMES), blank=True)
    after = models.CharField(max_length=12, choices=choices(STAGE_NAMES))
    # Why it moved although criteria were missing, or back.
    reason = models.CharField(max_length=500, blank=True)
    missing = models.JSONField(default=list, blank=True)
    by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["pk"]


class OwnershipDecision(models.Model):
    """Who was given a lead that more than one claimed, by which rule; or by a manager, with a reason."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="ownership_decisions")
    lead = models.ForeignKey(Lead, on_delete=models.CASCADE, null=True, blank=True, related_name="ownership_decisions")
    opportunity = models.ForeignKey(
        Opportunity, on_delete=models.CASCADE, null=True, blank=True, related_name="ownership_decisions"
    )
    rule = models.CharField(max_length=12, choices=choices(OWNERSHIP_NAMES), blank=True)
    reason = models.CharField(max_length=500, blank=True)
    winner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    # The claims as they were found: [{"person": 4, "owns_account": true, …}].
    claims = models.JSONField(default=list)
    decided_by = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
