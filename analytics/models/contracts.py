"""Which contracts are in a book, as of which of their deliveries, and which orders are the same sale as one of them."""

from django.conf import settings
from django.db import models


class BookedContract(models.Model):
    """A contract whose purchases are in a book. `version` is that of its deliveries then; 0 counts on its signing."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="booked_contracts")
    contract = models.ForeignKey("procurement.Contract", on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["book", "contract"], name="contract_booked_once")]


class SameSale(models.Model):
    """An order of the company's own system that is a contract on the platform: it counts as the contract alone.

    With `apart_at` a person has said that they are two sales after all. Written by analytics.services.same_sales alone.
    """

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="same_sales")
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="+")
    order = models.CharField(max_length=140, help_text="number in the company's own system")
    contract = models.CharField(max_length=140, help_text="number of the contract, or of one of its deliveries")
    apart_at = models.DateTimeField(null=True, blank=True)
    apart_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["book", "order", "contract"], name="same_sale_once"),
            models.UniqueConstraint(
                fields=["book", "order"], condition=models.Q(apart_at=None), name="same_sale_of_one_contract"
            ),
        ]
