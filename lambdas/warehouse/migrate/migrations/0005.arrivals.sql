-- depends: 0002.loads

-- When an object came, as the ledger says: the views of newest rows order by it. A load of before has the time of the
-- object's first load instead, until a replay.
ALTER TABLE control.loads ADD COLUMN IF NOT EXISTS received_at timestamp with time zone;
UPDATE control.loads AS l SET received_at = (SELECT min(loaded_at) FROM control.loads WHERE object_id = l.object_id)
WHERE received_at IS NULL;
