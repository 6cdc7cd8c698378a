-- The whole URLs of ingests under way (docs/adr/0010-ingest.md): a query may hold a secret, which has
-- no place in the log. Written by the append itself, removed once the source is fetched.

CREATE TABLE ingest_sources (
  owner text COLLATE "C" NOT NULL,
  media_id text COLLATE "C" NOT NULL,
  url text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (owner, media_id)
);
-- For the sweep, which looks across owners.
CREATE INDEX ingest_sources_at ON ingest_sources (at);

ALTER TABLE ingest_sources ENABLE ROW LEVEL SECURITY;
ALTER TABLE ingest_sources FORCE ROW LEVEL SECURITY;
-- The API writes and cannot read back.
CREATE POLICY own_rows ON ingest_sources FOR INSERT TO media_api
  WITH CHECK (owner = current_setting('app.owner', true));
CREATE POLICY fetching ON ingest_sources TO media_worker USING (true) WITH CHECK (true);
GRANT INSERT ON ingest_sources TO media_api;
GRANT SELECT, INSERT, DELETE ON ingest_sources TO media_worker;
