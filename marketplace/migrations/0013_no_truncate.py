"""What is written once stays: a table is not emptied either. Row triggers do not fire for TRUNCATE."""

from django.db import migrations

TABLES = [
    "marketplace_auditrecord",
    "marketplace_evidenceobject",
    "marketplace_ledgerentry",
    "marketplace_signature",
    "marketplace_signatureevidence",
]
GUARD = (
    "CREATE TRIGGER no_truncate BEFORE TRUNCATE ON {0} "
    "FOR EACH STATEMENT EXECUTE FUNCTION openlot_append_only();"
)


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0012_key_rotation")]

    operations = [
        migrations.RunSQL(GUARD.format(table), f"DROP TRIGGER no_truncate ON {table};") for table in TABLES
    ]
