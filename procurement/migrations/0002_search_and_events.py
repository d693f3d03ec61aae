"""The search column keeps itself up to date; the auction's events are append-only."""

from django.db import migrations

SEARCH = """
CREATE FUNCTION procurement_tender_search() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search := setweight(to_tsvector('simple', coalesce(NEW.number, '') || ' ' || coalesce(NEW.title, '')), 'A')
               || setweight(to_tsvector('simple', coalesce(NEW.description, '')), 'C');
    RETURN NEW;
END $$;
CREATE TRIGGER search BEFORE INSERT OR UPDATE OF number, title, description ON procurement_tender
    FOR EACH ROW EXECUTE FUNCTION procurement_tender_search();
"""
NO_SEARCH = "DROP TRIGGER search ON procurement_tender; DROP FUNCTION procurement_tender_search();"
EVENTS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON procurement_auctionevent
    FOR EACH ROW EXECUTE FUNCTION openlot_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("procurement", "0001_initial"), ("marketplace", "0002_append_only")]

    operations = [
        migrations.RunSQL(SEARCH, NO_SEARCH),
        migrations.RunSQL(EVENTS, "DROP TRIGGER append_only ON procurement_auctionevent;"),
    ]
