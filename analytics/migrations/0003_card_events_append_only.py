"""What was done with cards and accounts is kept as it was written."""

from django.db import migrations

# A card that goes takes its events along; nothing else changes or removes them.
TABLES = ["analytics_cardevent", "analytics_accountevent"]
GUARD = (
    "CREATE TRIGGER append_only BEFORE UPDATE ON {0} "
    "FOR EACH ROW EXECUTE FUNCTION openlot_append_only();"
)


class Migration(migrations.Migration):
    dependencies = [("analytics", "0002_cards"), ("marketplace", "0002_append_only")]

    operations = [
        migrations.RunSQL(GUARD.format(table), f"DROP TRIGGER append_only ON {table};") for table in TABLES
    ]
