-- Where messages to webhooks stand, and what the log must not hold.

-- Addresses and secrets, so that they can be erased; the log names them by target_id.
CREATE TABLE webhook_targets (
  owner text COLLATE "C" NOT NULL,
  webhook_id text COLLATE "C" NOT NULL,
  target_id text COLLATE "C" NOT NULL,
  url text NOT NULL,
  secret text NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (owner, webhook_id, target_id)
);

-- Who is to be told of what, as far as the fan-out has read; and how sending goes.
CREATE TABLE webhook_routes (
  webhook_id text COLLATE "C" PRIMARY KEY,
  owner text COLLATE "C" NOT NULL,
  event_types text[] NOT NULL,
  active boolean NOT NULL,
  failures integer NOT NULL DEFAULT 0,
  resting_until timestamptz NOT NULL DEFAULT '-infinity',
  lease text,
  leased_until timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX webhook_routes_owner ON webhook_routes (owner);

-- One message to one webhook. Not a read model: what was sent cannot be had from the log.
CREATE TABLE webhook_deliveries (
  owner text COLLATE "C" NOT NULL,
  webhook_id text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  stream text COLLATE "C" NOT NULL,
  type text NOT NULL,
  status text NOT NULL CHECK (status IN ('waiting', 'delivered', 'failed')),
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL,
  settled_at timestamptz,
  PRIMARY KEY (webhook_id, position)
);
-- A message waits for the earlier ones of its file: this finds them.
CREATE INDEX webhook_deliveries_line ON webhook_deliveries (webhook_id, stream, position)
  WHERE status = 'waiting';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, due_at)
  WHERE status = 'waiting';
CREATE INDEX webhook_deliveries_settled ON webhook_deliveries (settled_at)
  WHERE settled_at IS NOT NULL;

CREATE TABLE webhook_attempts (
  owner text COLLATE "C" NOT NULL,
  webhook_id text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  at timestamptz NOT NULL,
  duration_ms integer NOT NULL,
  response_status integer,
  error text,
  FOREIGN KEY (webhook_id, position) REFERENCES webhook_deliveries ON DELETE CASCADE
);
CREATE INDEX webhook_attempts_delivery ON webhook_attempts (webhook_id, position, at);

CREATE TABLE webhook_replays (
  webhook_id text COLLATE "C" NOT NULL REFERENCES webhook_routes ON DELETE CASCADE,
  position bigint NOT NULL,
  owner text COLLATE "C" NOT NULL,
  reached bigint NOT NULL,
  until bigint NOT NULL,
  PRIMARY KEY (webhook_id, position)
);

DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['webhook_targets', 'webhook_routes', 'webhook_deliveries',
                              'webhook_attempts', 'webhook_replays'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY follower ON %I TO media_worker USING (true) WITH CHECK (true)',
                   name);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO media_worker', name);
  END LOOP;
  FOREACH name IN ARRAY ARRAY['webhook_targets', 'webhook_deliveries', 'webhook_attempts'] LOOP
    EXECUTE format($policy$CREATE POLICY own_rows ON %I FOR SELECT TO media_api
      USING (owner = current_setting('app.owner', true))$policy$, name);
    EXECUTE format('GRANT SELECT ON %I TO media_api', name);
  END LOOP;
END $$;

GRANT INSERT ON webhook_targets TO media_api;
CREATE POLICY own_targets ON webhook_targets FOR INSERT TO media_api
  WITH CHECK (owner = current_setting('app.owner', true));
