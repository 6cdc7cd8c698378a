-- A worker that finishes a verification must not bring a file of a removed workspace to life, even
-- when the workspace is removed at that very moment. Endings and purges, which follow from the
-- removal, are still recorded. Another version of these types keeps the rule by its name.

DROP POLICY worker_appends ON events;
CREATE POLICY worker_appends ON events FOR INSERT TO media_worker WITH CHECK (
  type NOT LIKE ALL (ARRAY['media\_file.upload\_requested.%', 'media\_file.upload\_completed.%'])
  OR tenant_is_open(owner)
);
