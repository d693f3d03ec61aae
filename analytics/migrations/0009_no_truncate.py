"""What was done with cards and accounts goes with its card only: a table of it is not emptied. Row triggers do not fire for TRUNCATE."""

from django.db import migrations

TABLES = ["analytics_cardevent", "analytics_accountevent"]
GUARD = (
    "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {0} "
    "FOR EACH STATEMENT EXECUTE FUNCTION openlot_append_only();"
)


class Migration(migrations.Migration):
    dependencies = [("analytics", "0008_card_events_go_along"), ("marketplace", "0002_append_only")]

    operations = [
        migrations.RunSQL(GUARD.format(table), f"DROP TRIGGER no_truncate ON {table};") for table in TABLES
    ]
