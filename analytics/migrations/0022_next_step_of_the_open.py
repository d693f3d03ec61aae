"""An open opportunity has a next step: looked at when the transaction ends, so that one may follow the other within it.

One that stood without, by whatever way, gets a call for today from its representative.
"""

from django.db import migrations

CREATE = """
CREATE FUNCTION analytics_open_has_next_step() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    concerned bigint;
BEGIN
    IF TG_TABLE_NAME = 'analytics_step' THEN
        concerned := OLD.opportunity_id;
    ELSE
        concerned := NEW.id;
    END IF;
    IF EXISTS (SELECT FROM analytics_opportunity WHERE id = concerned AND status = 'open')
        AND NOT EXISTS (SELECT FROM analytics_step WHERE opportunity_id = concerned AND done_at IS NULL)
    THEN
        RAISE EXCEPTION 'opportunity % is open and has no next step', concerned
            USING ERRCODE = 'check_violation', CONSTRAINT = 'opportunity_has_next_step';
    END IF;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER opportunity_has_next_step AFTER INSERT OR UPDATE OF status ON analytics_opportunity
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'open')
    EXECUTE FUNCTION analytics_open_has_next_step();
CREATE CONSTRAINT TRIGGER step_is_followed AFTER DELETE OR UPDATE OF done_at, opportunity_id ON analytics_step
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (OLD.done_at IS NULL)
    EXECUTE FUNCTION analytics_open_has_next_step();
INSERT INTO analytics_step (opportunity_id, kind, text, due_on, person_id, result, result_note, created_at)
    SELECT id, 'call', '', current_date, representative_id, '', '', now() FROM analytics_opportunity o
    WHERE status = 'open'
        AND NOT EXISTS (SELECT FROM analytics_step s WHERE s.opportunity_id = o.id AND s.done_at IS NULL);
"""
DROP = """
DROP TRIGGER step_is_followed ON analytics_step;
DROP TRIGGER opportunity_has_next_step ON analytics_opportunity;
DROP FUNCTION analytics_open_has_next_step();
"""


class Migration(migrations.Migration):
    dependencies = [("analytics", "0021_same_sales")]

    operations = [migrations.RunSQL(CREATE, DROP)]
