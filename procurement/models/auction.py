"""Live auctions: the state of the room, who takes part, and the chained events it is made of."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from procurement.rules.lifecycle import AuctionStatus

AUCTION_STATUS_NAMES = {
    AuctionStatus.SCHEDULED: _("Not yet started"),
    AuctionStatus.RUNNING: _("Running"),
    AuctionStatus.PAUSED: _("Paused"),
    AuctionStatus.ENDED: _("Ended"),
    AuctionStatus.CANCELLED: _("Cancelled"),
}


class Auction(models.Model):
    """The live auction of one lot. `rules` holds the lot's settings for the pure rule, fixed when the auction is made
    (kind, direction, step, reference, soft close, shows); amounts in it are decimal strings."""

    lot = models.OneToOneField("procurement.Lot", on_delete=models.PROTECT, related_name="auction")
    status = models.CharField(
        max_length=12,
        choices=[(s.value, n) for s, n in AUCTION_STATUS_NAMES.items()],
        default=AuctionStatus.SCHEDULED.value,
    )
    rules = models.JSONField()
    currency = models.CharField(max_length=3)
    start_price = models.DecimalField(max_digits=20, decimal_places=4, null=True, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(help_text="as it stands: a soft close moves it")
    hard_stop_at = models.DateTimeField(null=True, blank=True)
    extensions = models.PositiveIntegerField(default=0)
    paused_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    last_event = models.PositiveIntegerField(default=0)
    head_hash = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=[s.value for s in AuctionStatus]), name="auction_status_known"
            )
        ]


class AuctionParticipant(models.Model):
    """An admitted bidder under its anonymous label, and what stands for it."""

    auction = models.ForeignKey(Auction, on_delete=models.PROTECT, related_name="participants")
    bid = models.OneToOneField("procurement.Bid", on_delete=models.PROTECT, related_name="participant")
    supplier = models.ForeignKey("marketplace.Organisation", on_delete=models.PROTECT, related_name="+")
    label = models.CharField(max_length=20)
    initial_amount = models.DecimalField(max_digits=20, decimal_places=4)
    # Empty while nothing stands: in an auction by a clock the first bid only lets its bidder in.
    standing_amount = models.DecimalField(max_digits=20, decimal_places=4, null=True)
    standing_at = models.DateTimeField(null=True)
    bids_accepted = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["auction_id", "standing_amount", "standing_at"]
        constraints = [models.UniqueConstraint(fields=["auction", "label"], name="auction_label_once")]


class AuctionEvent(models.Model):
    """One thing that happened in the room, chained by hash: the auction can be replayed from these alone."""

    # No indexes that every bid would have to write but those of the two constraints: nothing else is looked up.
    auction = models.ForeignKey(Auction, on_delete=models.PROTECT, related_name="events", db_index=False)
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=16, help_text="started | bid | extended | paused | resumed | ended")
    at = models.DateTimeField(help_text="a bid's time of receipt")
    participant = models.ForeignKey(
        AuctionParticipant, on_delete=models.PROTECT, null=True, related_name="events", db_index=False
    )
    amount = models.DecimalField(max_digits=20, decimal_places=4, null=True)
    key = models.CharField(max_length=64, blank=True, help_text="the bidder's idempotency key")
    person = models.ForeignKey(
        "marketplace.Person", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    detail = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["auction_id", "number"]
        constraints = [
            models.UniqueConstraint(fields=["auction", "number"], name="auction_event_once"),
            models.UniqueConstraint(
                fields=["participant", "key"], condition=~models.Q(key=""), name="auction_key_once"
            ),
        ]
        # Limits of others are not counted in what a bidder is told: see queries.auctions.number_for.
        indexes = [
            models.Index(
                fields=["auction", "number"],
                condition=models.Q(kind__in=["limit", "limit_dropped"]),
                name="auction_limits_and_drops",
            )
        ]
