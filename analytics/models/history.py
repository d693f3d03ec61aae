"""Purchases: imports, the order lines they brought, and the rollup by day that everything is reckoned from."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _


class ImportKind(models.TextChoices):
    FILE = "file", _("File")
    API = "api", _("API")
    CONTRACTS = "contracts", _("Contracts on the platform")


class ImportState(models.TextChoices):
    UPLOADED = "uploaded", _("Columns to be confirmed")
    READING = "reading", _("Being read")
    READ = "read", _("Read, waits for you")
    LOADING = "loading", _("Being loaded")
    LOADED = "loaded", _("Loaded")
    UNDOING = "undoing", _("Being undone")
    UNDONE = "undone", _("Undone")
    FAILED = "failed", _("Failed")
    DISCARDED = "discarded", _("Thrown away")


class LineSource(models.TextChoices):
    """Whose numbering an order line has: a file and the API of one company speak of the same orders."""

    OWN = "own", _("The company’s own system")
    CONTRACTS = "contracts", _("Contracts on the platform")


class Import(models.Model):
    """A batch of order lines: a file, a call of the API, or contracts signed since the last time."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="imports")
    kind = models.CharField(max_length=10, choices=ImportKind)
    state = models.CharField(max_length=10, choices=ImportState, default=ImportState.UPLOADED)
    name = models.CharField(max_length=200, blank=True, help_text="of the file, as it was uploaded")
    path = models.CharField(max_length=200, blank=True, help_text="of the file in the storage")
    size = models.PositiveBigIntegerField(default=0, help_text="bytes")
    mapping = models.JSONField(default=dict, blank=True, help_text="our column to theirs")
    currency = models.CharField(max_length=3, blank=True, help_text="of lines that name none")
    # What the reader found out about the file: encoding, delimiter, headers, the first rows as understood.
    found = models.JSONField(default=dict, blank=True)
    # read, accepted, rejected; then new, changed, unchanged, accounts_new, accounts_renamed, removed.
    counts = models.JSONField(default=dict, blank=True)
    rejects = models.JSONField(default=dict, blank=True, help_text="reason code to the number of rows")
    remarks = models.JSONField(default=list, db_default=[], blank=True, help_text="what is thin or odd: rules.remarks")
    rejects_path = models.CharField(max_length=200, blank=True, help_text="of the rejected rows in the storage")
    done = models.PositiveIntegerField(default=0, help_text="rows behind us in the present state")
    total = models.PositiveIntegerField(default=0, help_text="rows in the present state; 0 where it is not known")
    lease_until = models.DateTimeField(null=True, blank=True, help_text="a worker is on it until then")
    tries = models.PositiveIntegerField(
        default=0, db_default=0, help_text="how often a worker took it in the present state"
    )
    error = models.CharField(max_length=40, blank=True, help_text="code of why it failed")
    error_details = models.JSONField(default=dict, blank=True)
    idempotency_key = models.CharField(max_length=64, blank=True, help_text="of a call of the API")
    request_sha256 = models.CharField(max_length=64, blank=True, help_text="of what came with the key")
    answer = models.JSONField(default=dict, blank=True, help_text="what the call was answered, for its repetition")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField()
    loaded_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=ImportKind.values), name="import_kind_known"),
            models.CheckConstraint(condition=models.Q(state__in=ImportState.values), name="import_state_known"),
            models.UniqueConstraint(
                fields=["book", "idempotency_key"],
                condition=~models.Q(idempotency_key=""),
                name="import_once_per_key",
            ),
        ]
        indexes = [models.Index(fields=["book", "-id"], name="import_of_book")]

    def __str__(self) -> str:
        return self.name or str(self.get_kind_display())


class Category(models.Model):
    """What a seller's items are grouped by; in the platform's book and for contracts, a heading."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="categories")
    code = models.CharField(max_length=120)
    name = models.CharField(max_length=300)
    heading = models.ForeignKey(
        "marketplace.Heading", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["book", "code"], name="category_once_per_book")]

    def __str__(self) -> str:
        return self.name


class Item(models.Model):
    """What is sold. Its category is that of its newest line."""

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="items")
    code = models.CharField(max_length=120)
    name = models.CharField(max_length=300)
    category = models.ForeignKey(Category, on_delete=models.SET_NULL, null=True, blank=True, related_name="items")

    class Meta:
        ordering = ["name", "pk"]
        constraints = [models.UniqueConstraint(fields=["book", "code"], name="item_once_per_book")]

    def __str__(self) -> str:
        return self.name


class OrderLine(models.Model):
    """One version of a line of an order. The newest is `current`; undoing its import brings the one before back.

    A quantity below zero takes back: from the day of the order it names in `cancels`, where the account has such an
    order, else from its own day (`counts_on`).
    """

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="lines")
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="lines")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    item = models.ForeignKey(Item, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    brought_by = models.ForeignKey(Import, on_delete=models.PROTECT, related_name="lines")
    source = models.CharField(max_length=10, choices=LineSource)
    order = models.CharField(max_length=140)
    line = models.CharField(max_length=140)
    day = models.DateField(help_text="on which it was ordered")
    counts_on = models.DateField(help_text="the day whose purchases it adds to or takes from")
    cancels = models.CharField(max_length=140, blank=True, help_text="number of the order it takes back")
    quantity = models.DecimalField(max_digits=18, decimal_places=4)
    amount = models.DecimalField(max_digits=20, decimal_places=4, help_text="of the line, with the quantity's sign")
    currency = models.CharField(max_length=3)
    current = models.BooleanField(default=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["book", "source", "order", "line"],
                condition=models.Q(current=True),
                name="order_line_current_once",
            ),
            models.CheckConstraint(condition=~models.Q(quantity=0), name="order_line_quantity_not_zero"),
        ]
        indexes = [
            # What a cell of the rollup is made of.
            models.Index(
                fields=["account", "counts_on"], condition=models.Q(current=True), name="order_line_of_account"
            ),
            models.Index(fields=["brought_by"], name="order_line_of_import"),
            models.Index(
                fields=["book", "cancels"],
                condition=models.Q(current=True) & ~models.Q(cancels=""),
                name="order_line_cancelling",
            ),
            # Versions before the current one, looked up when an import is undone.
            models.Index(
                fields=["book", "source", "order", "line"],
                condition=models.Q(current=False),
                name="order_line_earlier",
            ),
        ]


class LineConfirmation(models.Model):
    """A later import had the same line, unchanged: undoing the import that brought it leaves it in place."""

    line = models.ForeignKey(OrderLine, on_delete=models.CASCADE, related_name="confirmations")
    confirmed_by = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="+", db_index=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["line", "confirmed_by"], name="line_confirmed_once")]


class StagedLine(models.Model):
    """A row of a file as it was read, between reading and loading."""

    batch = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="staged")
    row = models.PositiveIntegerField(help_text="number in the file, the header being 1")
    account = models.CharField(max_length=120)
    account_name = models.CharField(max_length=300, blank=True)
    country = models.CharField(max_length=2, blank=True)
    order = models.CharField(
        max_length=120, blank=True, help_text="empty: what the account bought on the day is one order"
    )
    line = models.CharField(max_length=120, blank=True, help_text="empty: the item, counted within the order")
    day = models.DateField()
    cancels = models.CharField(max_length=120, blank=True)
    item = models.CharField(max_length=120, blank=True)
    item_name = models.CharField(max_length=300, blank=True)
    category = models.CharField(max_length=120, blank=True)
    category_name = models.CharField(max_length=300, blank=True)
    quantity = models.DecimalField(max_digits=18, decimal_places=4)
    amount = models.DecimalField(max_digits=20, decimal_places=4)
    currency = models.CharField(max_length=3)

    class Meta:
        ordering = ["pk"]


class ItemDay(models.Model):
    """What an account bought of one item on one day, less what was taken back; no row where nothing is left.

    The finest rollup: what the models learn from. Written by analytics.services.rollup alone.
    """

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="+", db_index=False)
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="+", db_index=False)
    category = models.ForeignKey(Category, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    item = models.ForeignKey(Item, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    currency = models.CharField(max_length=3)
    day = models.DateField()
    orders = models.PositiveIntegerField()
    quantity = models.DecimalField(max_digits=20, decimal_places=4)
    amount = models.DecimalField(max_digits=20, decimal_places=4)

    class Meta:
        ordering = ["account_id", "day", "pk"]
        constraints = [
            models.UniqueConstraint(
                "account", "day", "currency", Coalesce("category_id", 0), Coalesce("item_id", 0), name="item_day_once"
            ),
            models.CheckConstraint(condition=models.Q(quantity__gt=0, amount__gt=0), name="item_day_positive"),
        ]
        indexes = [models.Index(fields=["book", "currency", "account"], name="item_day_of_book")]


class DayRollup(models.Model):
    """What an account bought in one category on one day: the sum of its items' days, orders counted once.

    Written by analytics.services.rollup alone.
    """

    book = models.ForeignKey("analytics.Book", on_delete=models.CASCADE, related_name="+", db_index=False)
    account = models.ForeignKey("analytics.Account", on_delete=models.CASCADE, related_name="days", db_index=False)
    category = models.ForeignKey(Category, on_delete=models.CASCADE, null=True, related_name="+", db_index=False)
    currency = models.CharField(max_length=3)
    day = models.DateField()
    orders = models.PositiveIntegerField()
    quantity = models.DecimalField(max_digits=20, decimal_places=4)
    amount = models.DecimalField(max_digits=20, decimal_places=4)

    class Meta:
        ordering = ["account_id", "day", "pk"]
        constraints = [
            models.UniqueConstraint("account", "day", "currency", Coalesce("category_id", 0), name="day_rollup_once"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0, amount__gt=0), name="day_rollup_positive"),
        ]
        indexes = [
            models.Index(fields=["account", "category", "day"], name="day_rollup_of_category"),
            models.Index(fields=["book", "day"], name="day_rollup_of_book"),
        ]
