"""What is written once stays: a table is not emptied either. Row triggers do not fire for TRUNCATE."""

from django.db import migrations

TABLES = ["procurement_auctionevent", "procurement_bidroll", "procurement_rollleaf"]
GUARD = (
    "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {0} "
    "FOR EACH STATEMENT EXECUTE FUNCTION openlot_append_only();"
)


class Migration(migrations.Migration):
    dependencies = [("procurement", "0008_certificate_notices"), ("marketplace", "0002_append_only")]

    operations = [
        migrations.RunSQL(GUARD.format(table), f"DROP TRIGGER no_truncate ON {table};") for table in TABLES
    ]
