"""The protocols of a procedure under the signatures of the people who answer for them."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class ProtocolKind(models.TextChoices):
    OPENING = "opening", _("Protocol of the opening")
    EVALUATION = "evaluation", _("Protocol of the evaluation")


class ProtocolSignature(models.Model):
    """A person of the buyer signed a protocol. What it said is the payload of the signature's request."""

    tender = models.ForeignKey("procurement.Tender", on_delete=models.PROTECT, related_name="protocol_signatures")
    kind = models.CharField(max_length=12, choices=ProtocolKind)
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    content_sha256 = models.CharField(max_length=64, help_text="of the protocol's canonical content")
    signature = models.OneToOneField("marketplace.Signature", on_delete=models.PROTECT, related_name="+")
    signed_at = models.DateTimeField()

    class Meta:
        ordering = ["tender_id", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["tender", "kind", "person", "content_sha256"], name="protocol_signed_once_by_each"
            )
        ]
