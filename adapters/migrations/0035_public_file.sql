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

-- The same for other services, of many files and of private ones: which of their variants there are.
CREATE FUNCTION resolve_variants(ids text[], tenant text)
RETURNS TABLE (media_id text, key text, mime_type text, is_public boolean, renditions jsonb, inspection text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT media_id, key, mime_type, is_public, renditions, inspection FROM file_list_v2
  WHERE media_id = ANY (ids) AND deleted_at IS NULL AND (tenant IS NULL OR owner = 't:' || tenant)
$$;
GRANT CREATE ON SCHEMA public TO media_resolver;
ALTER FUNCTION resolve_variants OWNER TO media_resolver;
REVOKE CREATE ON SCHEMA public FROM media_resolver;
REVOKE ALL ON FUNCTION resolve_variants FROM PUBLIC;
GRANT EXECUTE ON FUNCTION resolve_variants TO media_worker;
