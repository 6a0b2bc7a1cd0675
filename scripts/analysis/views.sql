-- Sluice's records as DuckDB views, every column with its right type:
--
--   duckdb -cmd "SET VARIABLE records = 'data'" -cmd ".read scripts/analysis/views.sql"
--
-- or, in Python: execute the SET, and then this file. The variable may have a pattern, such as 'houses/*', for several
-- directories. docs/records.md explains each column.
--
-- DuckDB guesses types by the first rows of a file. Hex digits such as 20000000 look like a number until the first miner
-- rolls its version, and a job id such as 7e3 looks like a float. So nothing is guessed here: fields are read as text, and
-- only the columns that count something become numbers. Rows that a crash has damaged are left out; a quote that is not
-- closed, which Sluice never leaves, makes DuckDB refuse the file.

-- The files: the live ones and the rotated ones, compressed or not. Before a file is compressed, both may be there.
CREATE OR REPLACE TEMP TABLE record_files AS
SELECT file, regexp_extract(file, '(shares|timing|events|alerts)[^/]*$', 1) AS kind
FROM glob(getvariable('records') || '/*') AS found
WHERE regexp_matches(file, '/(shares|timing|events|alerts)(-\d{4}-\d\d-\d\d\.\d+)?\.(csv|jsonl|log)(\.gz)?$')
  AND NOT EXISTS (FROM glob(getvariable('records') || '/*') AS packed WHERE packed.file = found.file || '.gz');

SET VARIABLE share_files = (SELECT list(file ORDER BY file) FROM record_files WHERE kind = 'shares');
SET VARIABLE timing_files = (SELECT list(file ORDER BY file) FROM record_files WHERE kind = 'timing');
SET VARIABLE event_files = (SELECT list(file ORDER BY file) FROM record_files WHERE kind = 'events');
SET VARIABLE alert_files = (SELECT list(file ORDER BY file) FROM record_files WHERE kind = 'alerts');

-- A row for each share. Columns that older files do not have are empty.
-- miner: the worker's name without the account. pool: the upstream without its scheme. proven_difficulty: what the hash
-- proves, whatever the pool answered.
CREATE OR REPLACE TEMP VIEW shares AS
WITH no_rows AS (
    SELECT
        NULL::VARCHAR AS "timestamp", NULL::VARCHAR AS miner_addr, NULL::VARCHAR AS worker, NULL::VARCHAR AS job_id,
        NULL::VARCHAR AS nonce, NULL::VARCHAR AS share_difficulty, NULL::VARCHAR AS job_age_seconds,
        NULL::VARCHAR AS is_block, NULL::VARCHAR AS msg_id, NULL::VARCHAR AS assigned_difficulty, NULL::VARCHAR AS result,
        NULL::VARCHAR AS reject_code, NULL::VARCHAR AS reject_reason, NULL::VARCHAR AS response_ms, NULL::VARCHAR AS ntime,
        NULL::VARCHAR AS "version", NULL::VARCHAR AS extranonce1, NULL::VARCHAR AS extranonce2, NULL::VARCHAR AS hash,
        NULL::VARCHAR AS height, NULL::VARCHAR AS network_difficulty, NULL::VARCHAR AS upstream, NULL::VARCHAR AS "session",
        NULL::VARCHAR AS user_agent
    WHERE false
),
texts AS (
    FROM no_rows
    UNION ALL BY NAME
    FROM read_csv(
        getvariable('share_files'), header = true, all_varchar = true, union_by_name = true, delim = ',', quote = '"',
        escape = '"', ignore_errors = true
    )
),
typed AS (
    SELECT
        TRY_CAST("timestamp" AS TIMESTAMPTZ) AS "timestamp", miner_addr, coalesce(worker, '') AS worker, job_id, nonce,
        TRY_CAST(share_difficulty AS DOUBLE) AS share_difficulty, TRY_CAST(job_age_seconds AS DOUBLE) AS job_age_seconds,
        TRY_CAST(is_block AS BOOLEAN) AS is_block, msg_id, TRY_CAST(assigned_difficulty AS DOUBLE) AS assigned_difficulty,
        result, TRY_CAST(reject_code AS BIGINT) AS reject_code, reject_reason, TRY_CAST(response_ms AS DOUBLE) AS response_ms,
        ntime, "version", extranonce1, extranonce2, hash, TRY_CAST(height AS BIGINT) AS height,
        TRY_CAST(network_difficulty AS DOUBLE) AS network_difficulty, upstream, TRY_CAST("session" AS BIGINT) AS "session",
        user_agent, regexp_replace(coalesce(worker, ''), '^[^.]*\.', '') AS miner,
        regexp_replace(upstream, '^.*://', '') AS pool
    FROM texts
)
SELECT
    *,
    CASE
        WHEN share_difficulty >= assigned_difficulty
            AND (hash IS NULL OR row_number() OVER (PARTITION BY hash ORDER BY "timestamp") = 1)
        THEN assigned_difficulty
        ELSE 0
    END AS proven_difficulty
FROM typed
WHERE "timestamp" IS NOT NULL;

-- A row for each job. session, miner_addr and worker are empty in files that older versions wrote.
CREATE OR REPLACE TEMP VIEW timing AS
WITH no_rows AS (
    SELECT
        NULL::VARCHAR AS pool, NULL::VARCHAR AS job_id, NULL::VARCHAR AS height, NULL::VARCHAR AS ntime,
        NULL::VARCHAR AS ntp_time, NULL::VARCHAR AS ntime_minus_ntp_seconds, NULL::VARCHAR AS receive_gap_seconds,
        NULL::VARCHAR AS prevhash_age_seconds, NULL::VARCHAR AS branches, NULL::VARCHAR AS "session",
        NULL::VARCHAR AS miner_addr, NULL::VARCHAR AS worker
    WHERE false
),
texts AS (
    FROM no_rows
    UNION ALL BY NAME
    FROM read_csv(
        getvariable('timing_files'), header = true, all_varchar = true, union_by_name = true, delim = ',', quote = '"',
        escape = '"', ignore_errors = true
    )
)
SELECT
    pool, job_id, TRY_CAST(height AS BIGINT) AS height, ntime, TRY_CAST(ntp_time AS TIMESTAMPTZ) AS ntp_time,
    TRY_CAST(ntime_minus_ntp_seconds AS DOUBLE) AS ntime_minus_ntp_seconds,
    TRY_CAST(receive_gap_seconds AS DOUBLE) AS receive_gap_seconds,
    TRY_CAST(prevhash_age_seconds AS DOUBLE) AS prevhash_age_seconds, TRY_CAST(branches AS BIGINT) AS branches,
    TRY_CAST("session" AS BIGINT) AS "session", miner_addr, worker
FROM texts
WHERE TRY_CAST(ntp_time AS TIMESTAMPTZ) IS NOT NULL;

-- The time line. data is JSON: data->>'reason'.
CREATE OR REPLACE TEMP VIEW events AS
FROM read_json(
    getvariable('event_files'), format = 'newline_delimited', ignore_errors = true,
    columns = {
        'at': 'TIMESTAMPTZ', 'kind': 'VARCHAR', 'severity': 'VARCHAR', 'subject': 'VARCHAR', 'worker': 'VARCHAR',
        'upstream': 'VARCHAR', 'text': 'VARCHAR', 'data': 'JSON'
    }
)
WHERE "at" IS NOT NULL;

-- Every alert: when it began or happened, and once more when it ended. An end has data->>'lasted_seconds'.
CREATE OR REPLACE TEMP VIEW alerts AS
WITH lines AS (
    -- No text has the byte 1, so each line is one field.
    SELECT line, row_number() OVER () AS place
    FROM read_csv(
        getvariable('alert_files'), header = false, auto_detect = false, columns = {'line': 'VARCHAR'}, delim = chr(1),
        quote = '', escape = '', ignore_errors = true, null_padding = false
    )
),
entries AS (
    SELECT
        line, lead(line, 1) OVER (ORDER BY place) AS description, lead(line, 2) OVER (ORDER BY place) AS evidence
    FROM lines
)
SELECT
    TRY_CAST(regexp_extract(line, '^\[(\S+)\]', 1) AS TIMESTAMPTZ) AS "at",
    lower(regexp_extract(line, '\] (INFO|LOW|MEDIUM|HIGH): ', 1)) AS severity,
    regexp_extract(line, ': (\S+)$', 1) AS id,
    regexp_replace(description, '^Description: ', '') AS description,
    TRY_CAST(regexp_replace(evidence, '^Data: ', '') AS JSON) AS data
FROM entries
WHERE regexp_matches(line, '^\[\S+\] (INFO|LOW|MEDIUM|HIGH): \S+$') AND description LIKE 'Description: %';
