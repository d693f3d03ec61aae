"""Which contracts of the platform are in a book, and as of which of their deliveries."""

from django.db import models


class BookedContract(models.Model):
    """A contract whose purchases are in a book. `version` is that of its deliveries then; 0 counts on its signing."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="booked_contracts")
    contract = models.ForeignKey("procurement.Contract", on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["book", "contract"], name="contract_booked_once")]
