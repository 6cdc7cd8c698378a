-- What anybody may learn of a file by its id: where it is served, if it is public and uploaded, and on
-- wish what was made from it. The way of /cdn and /m past row-level security: one file a call, and
-- nothing of whose it is or what it is called.
CREATE FUNCTION public_file(id text, with_renditions boolean)
RETURNS TABLE (key text, mime_type text, renditions text)
LANGUAGE sql STABLE SECURITY DEFINER ROWS 1 SET search_path = public, pg_temp AS $$
  SELECT key, mime_type, CASE WHEN with_renditions THEN renditions::text END FROM file_list_v2
  WHERE media_id = id AND is_public AND deleted_at IS NULL
$$;
GRANT CREATE ON SCHEMA public TO media_resolver;
ALTER FUNCTION public_file OWNER TO media_resolver;
REVOKE CREATE ON SCHEMA public FROM media_resolver;
REVOKE ALL ON FUNCTION public_file FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public_file TO media_api;
