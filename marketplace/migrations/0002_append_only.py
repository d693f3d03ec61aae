"""What is written once stays: the database itself refuses changes, whoever asks."""

from django.db import migrations

FUNCTION = """
CREATE FUNCTION openlot_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""
TABLES = ["marketplace_auditrecord", "marketplace_ledgerentry", "marketplace_signature"]


def guard(table: str) -> str:
    return (
        f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION openlot_append_only();"
    )


def unguard(table: str) -> str:
    return f"DROP TRIGGER append_only ON {table};"


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION openlot_append_only();"),
        *[migrations.RunSQL(guard(table), unguard(table)) for table in TABLES],
    ]
