-- A message that was given up holds back the later ones of its file, which would overtake it if it
-- were sent again; the delivery log tells them apart from those that wait.

ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_status_check;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_status_check
  CHECK (status IN ('waiting', 'delivered', 'failed', 'held'));

-- A message waits for the earlier ones of its file that were not taken: this finds them.
DROP INDEX webhook_deliveries_line;
CREATE INDEX webhook_deliveries_chain ON webhook_deliveries (webhook_id, stream, position)
  WHERE status <> 'delivered';
-- Few: each has paused its webhook.
CREATE INDEX webhook_deliveries_failed ON webhook_deliveries (webhook_id) WHERE status = 'failed';
