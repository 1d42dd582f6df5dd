"""What we ask of PostgreSQL's own tables."""

COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, a.atthasdef OR a.attidentity <> '',
    a.attgenerated <> '' OR a.attidentity = 'a'
FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

TABLE = """
SELECT c.oid::text, n.nspname, c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass($1)
"""

# Whether a unique index lets no second row of one key in: all its columns are of the key, whole and by its collation.
# $3: a NULL equals a NULL in the key.
COVERED = """
SELECT EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indisvalid
    AND i.indpred IS NULL AND i.indexprs IS NULL AND (
        SELECT bool_and(a.attname::text = ANY ($2::text[]) AND (NOT $3::bool OR a.attnotnull OR i.indnullsnotdistinct)
            AND a.attcollation = i.indcollation[k.place])
        FROM generate_series(0, i.indnkeyatts - 1) AS k (place)
        JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.place]))
"""

MAY_LOCK = """
SELECT has_table_privilege($1, 'UPDATE') OR has_table_privilege($1, 'DELETE') OR has_table_privilege($1, 'TRUNCATE')
"""

# $1: the table, $2: the name of the import's own lock
HOLDERS = """
SELECT DISTINCT a.pid, a.usename::text, a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.relation = to_regclass($1) AND l.mode ~ 'Exclusive'
        OR l.locktype = 'advisory' AND l.objsubid = 1
            AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended($2, 0))
ORDER BY a.pid LIMIT 5
"""
