-- The tables that vector.yaml fills: clickhouse-client --multiquery < clickhouse.sql
-- Vector delivers at least once: a row that came twice is one row after ClickHouse has merged, and at once with FINAL.
-- docs/records.md explains each column. Hex digits are texts.
CREATE DATABASE IF NOT EXISTS sluice;

CREATE TABLE IF NOT EXISTS sluice.shares (
    sluice LowCardinality(String),              -- the machine that wrote the row
    timestamp DateTime64(3, 'UTC'),
    miner_addr String,
    worker LowCardinality(String),
    job_id String,
    nonce String,
    share_difficulty Nullable(Float64),
    job_age_seconds Nullable(Float64),
    is_block Bool,
    msg_id String,
    assigned_difficulty Nullable(Float64),
    result LowCardinality(String),
    reject_code Nullable(Int64),
    reject_reason LowCardinality(String),
    response_ms Nullable(Float64),
    ntime String,
    version String,
    extranonce1 String,
    extranonce2 String,
    hash String,
    height Nullable(UInt32),
    network_difficulty Nullable(Float64),
    upstream LowCardinality(String),
    session UInt64,
    user_agent LowCardinality(String)
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (worker, timestamp, sluice, session, msg_id, job_id, nonce);

CREATE TABLE IF NOT EXISTS sluice.timing (
    sluice LowCardinality(String),
    timestamp DateTime64(3, 'UTC'),             -- ntp_time of timing.csv
    pool LowCardinality(String),
    job_id String,
    height Nullable(UInt32),
    ntime String,
    ntime_minus_ntp_seconds Nullable(Float64),
    receive_gap_seconds Nullable(Float64),
    prevhash_age_seconds Nullable(Float64),
    branches Nullable(UInt32),
    session UInt64,
    miner_addr String,
    worker LowCardinality(String)
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (pool, timestamp, sluice, session, job_id);

CREATE TABLE IF NOT EXISTS sluice.events (
    sluice LowCardinality(String),
    timestamp DateTime64(3, 'UTC'),             -- at of events.jsonl
    kind LowCardinality(String),
    severity LowCardinality(String),
    subject String,
    worker LowCardinality(String),
    upstream LowCardinality(String),
    text String,
    data String                                 -- one JSON object
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (kind, timestamp, sluice, subject, text);
