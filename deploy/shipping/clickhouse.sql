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

CREATE TABLE IF NOT EXISTS sluice.devices (
    sluice LowCardinality(String),
    timestamp DateTime64(3, 'UTC'),
    worker LowCardinality(String),
    address LowCardinality(String),
    connected Bool,
    interface LowCardinality(String),
    model LowCardinality(String),
    firmware LowCardinality(String),
    hash_rate Nullable(Float64),
    expected_hash_rate Nullable(Float64),
    reported_hash_rate_1h Nullable(Float64),
    proven_hash_rate_1h Nullable(Float64),
    accepted_hash_rate_1h Nullable(Float64),
    power_watts Nullable(Float64),
    joules_per_terahash Nullable(Float64),
    temperature_celsius Nullable(Float64),
    regulator_celsius Nullable(Float64),
    fan_rpm Nullable(Float64),
    error_percent Nullable(Float64),
    uptime_seconds Nullable(UInt64),
    wifi_dbm Nullable(Float64),
    accepted Nullable(UInt64),
    rejected Nullable(UInt64),
    best_difficulty Nullable(Float64),
    pool_difficulty Nullable(Float64),
    pool LowCardinality(String),
    uses_fallback Bool
) ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (worker, timestamp, sluice, address);

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
