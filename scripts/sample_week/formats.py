"""A share's row as Sluice writes it, and the forms of its times and numbers."""

import json
from datetime import datetime, timezone
from decimal import Decimal

DAY, HOUR, MINUTE = 86_400, 3_600, 60
# The target of difficulty 1, and the hashes that a share of difficulty 1 takes on average.
DIFFICULTY_1 = 65_535 << 208
HASHES = 2**48 / 65_535
NETWORK_DIFFICULTY = 126_411_437_451_912.23
# The example address of BIP173, whose key is public.
ACCOUNT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
POOL_A, POOL_B = "solo.pool-a.example:3333", "stratum.pool-b.example:3333"

SHARE_COLUMNS = (
    "timestamp,miner_addr,worker,job_id,nonce,share_difficulty,job_age_seconds,is_block,msg_id,assigned_difficulty,"
    "result,reject_code,reject_reason,response_ms,ntime,version,extranonce1,extranonce2,hash,height,"
    "network_difficulty,upstream,session,user_agent"
)
JOB_COLUMNS = (
    "pool,job_id,height,ntime,ntp_time,ntime_minus_ntp_seconds,receive_gap_seconds,prevhash_age_seconds,branches,"
    "session,miner_addr,worker"
)


def at(text):
    """Seconds since 1970 of a day and time of November 2026, in UTC: `"17 13:12:00"`."""
    return datetime.strptime(f"2026-11-{text} +0000", "%Y-%m-%d %H:%M:%S %z").timestamp()


class Miner:
    """A miner of the house."""

    def __init__(self, name, agent, host, hash_rate, difficulty, rolls_version):
        self.name, self.worker, self.agent, self.address = name, f"{ACCOUNT}.{name}", agent, f"192.168.1.{host}"
        self.hash_rate, self.difficulty, self.rolls_version = hash_rate, difficulty, rolls_version


class Session:
    """A connection of a miner with a pool, from `begin` to `end`."""

    def __init__(self, number, miner, pool, begin, end, rng):
        self.number, self.miner, self.pool, self.begin, self.end = number, miner, pool, begin, end
        self.address = f"{miner.address}:{rng.randrange(49_152, 65_536)}"
        self.extranonce1 = f"{rng.getrandbits(32):08x}"
        self.jobs, self.message, self.counter = [], 3, rng.randrange(0x200)


class Job:
    def __init__(self, time, id, height, block_time):
        self.time, self.id, self.height, self.block_time = time, id, height, block_time


def rfc3339(time):
    time = round(time * 1000)
    text = datetime.fromtimestamp(time // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{time % 1000:03}Z"


def number(value):
    """A number as Rust prints it: the shortest digits that read back as the same, and no exponent."""
    text = repr(value) if isinstance(value, int) else format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def short_number(value):
    """A number in the text of an alert."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if value < 1e6 else f"{value:.2e}".replace("e+0", "e")


def span(seconds):
    days, hours, minutes = int(seconds) // DAY, int(seconds) // HOUR % 24, int(seconds) // MINUTE % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{int(seconds)} s"


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def sorted_keys(value):
    """JSON whose keys are in the order of the alphabet, as in the evidence of Sluice's alerts."""
    return dict(sorted(value.items()))


def share_difficulty(hash):
    return float(DIFFICULTY_1) / float(hash)


def share_row(
    time, session, job, hash, result, rng, code="", reason="", response=None, share_difficulty=share_difficulty
):
    """The row of `shares.csv`. `session.message` and `session.counter` count on."""
    miner = session.miner
    session.message += 1
    session.counter += rng.randrange(1, 4)
    version = 0x2000_0000 | (rng.getrandbits(16) << 13 if miner.rolls_version else 0)
    assigned = assigned_difficulty(session, job)
    fields = [
        rfc3339(time),
        session.address,
        miner.worker,
        job.id,
        f"{rng.getrandbits(32):08x}",
        number(share_difficulty(hash)),
        f"{time - job.time:.3f}",
        "false",
        session.message,
        number(assigned),
        result,
        code,
        reason,
        "" if response is None else f"{response * 1e3:.3f}",
        f"{int(job.time):08x}",
        f"{version:08x}",
        session.extranonce1,
        f"{session.counter:016x}",
        f"{hash:064x}",
        job.height,
        number(NETWORK_DIFFICULTY),
        f"stratum+tcp://{session.pool}",
        session.number,
        miner.agent,
    ]
    return ",".join(map(str, fields))


def assigned_difficulty(session, job):
    """Pools begin with an easy difficulty. A job keeps the one that it was sent with."""
    is_new = job.time - session.begin < 5 * MINUTE
    return session.miner.difficulty // 8 if is_new and session.miner.difficulty >= 8 else session.miner.difficulty
