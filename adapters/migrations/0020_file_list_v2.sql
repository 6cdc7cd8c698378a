-- Read model: the uploaded files of an owner, as listed, searched, shown and resolved, and those in the bin.

CREATE TABLE file_list_v2 (
  owner text COLLATE "C" NOT NULL,
  -- The one index that does not begin with the owner: resolve knows only ids.
  media_id text COLLATE "C" PRIMARY KEY,
  service_code text COLLATE "C" NOT NULL,
  file_name text NOT NULL,
  -- NFC and Unicode case folding, computed by the projection: the order of fileName, and what search looks into.
  folded_name text COLLATE "C" NOT NULL,
  -- The folded name with every character outside a-z and 0-9 mapped to one inside: trigrams of any
  -- script and of punctuation, whatever the database's locale. Hits are checked against folded_name.
  search_text text COLLATE "C" NOT NULL,
  file_size bigint NOT NULL,
  mime_type text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  key text NOT NULL,
  is_public boolean NOT NULL,
  uploaded_by text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  -- Of a file in the bin: when, by whom, and until when it can be restored.
  deleted_at timestamptz,
  deleted_by text,
  bin_until timestamptz,
  -- What was found in the bytes; null until they were looked into.
  width integer,
  height integer,
  duration_ms bigint,
  sha256 text,
  placeholder text,
  dominant_color text,
  page_count integer,
  -- Null, or 'failed:' and the reason.
  inspection text,
  -- By preset: {"recipe", "formats": {type: {"key", "bytes", "width", "height"}}} or {"failed": reason}.
  renditions jsonb NOT NULL DEFAULT '{}'
);

-- Per sort one index without a filter, one for types, one for services with or without types: every
-- page starts where its key stands and reads as many rows as it shows. A file in the bin is in none.
CREATE INDEX file_list_v2_created ON file_list_v2 (owner, created_at, media_id) WHERE deleted_at IS NULL;
CREATE INDEX file_list_v2_name ON file_list_v2 (owner, folded_name, media_id) WHERE deleted_at IS NULL;
CREATE INDEX file_list_v2_size ON file_list_v2 (owner, file_size, media_id) WHERE deleted_at IS NULL;
CREATE INDEX file_list_v2_type_created ON file_list_v2 (owner, mime_type, created_at, media_id)
  WHERE deleted_at IS NULL;
CREATE INDEX file_list_v2_type_name ON file_list_v2 (owner, mime_type, folded_name, media_id)
  WHERE deleted_at IS NULL;
CREATE INDEX file_list_v2_type_size ON file_list_v2 (owner, mime_type, file_size, media_id)
  WHERE deleted_at IS NULL;
CREATE INDEX file_list_v2_service_created ON file_list_v2 (owner, service_code, mime_type, created_at, media_id)
  WHERE deleted_at IS NULL;
CREATE INDEX file_list_v2_service_name ON file_list_v2 (owner, service_code, mime_type, folded_name, media_id)
  WHERE deleted_at IS NULL;
CREATE INDEX file_list_v2_service_size ON file_list_v2 (owner, service_code, mime_type, file_size, media_id)
  WHERE deleted_at IS NULL;
-- Every search reads the pending list to its end: 256 kB instead of 4 MB.
CREATE INDEX file_list_v2_search ON file_list_v2 USING gin (owner, search_text gin_trgm_ops)
  WITH (gin_pending_list_limit = 256) WHERE deleted_at IS NULL;

-- The bin, in each of its orders.
CREATE INDEX file_list_v2_bin_deleted ON file_list_v2 (owner, deleted_at, media_id) WHERE deleted_at IS NOT NULL;
CREATE INDEX file_list_v2_bin_created ON file_list_v2 (owner, created_at, media_id) WHERE deleted_at IS NOT NULL;
CREATE INDEX file_list_v2_bin_name ON file_list_v2 (owner, folded_name, media_id) WHERE deleted_at IS NOT NULL;
CREATE INDEX file_list_v2_bin_size ON file_list_v2 (owner, file_size, media_id) WHERE deleted_at IS NOT NULL;
-- For the sweep, which looks across owners.
CREATE INDEX file_list_v2_bin_until ON file_list_v2 (bin_until, media_id) WHERE deleted_at IS NOT NULL;

ALTER TABLE file_list_v2 ENABLE ROW LEVEL SECURITY;
ALTER TABLE file_list_v2 FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON file_list_v2 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON file_list_v2 TO media_worker USING (true) WITH CHECK (true);
CREATE POLICY search ON file_list_v2 FOR SELECT TO media_search USING (true);
CREATE POLICY resolve ON file_list_v2 FOR SELECT TO media_resolver USING (true);
GRANT SELECT ON file_list_v2 TO media_api, media_search, media_resolver;
GRANT SELECT, INSERT, UPDATE, DELETE ON file_list_v2 TO media_worker;
