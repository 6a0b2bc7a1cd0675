"""A week in a small house: what happens, what Sluice says about it, and what a report must find."""

import bisect
import math
import random

from .formats import (
    DAY,
    DIFFICULTY_1,
    HASHES,
    HOUR,
    MINUTE,
    NETWORK_DIFFICULTY,
    POOL_A,
    POOL_B,
    Job,
    Miner,
    Session,
    assigned_difficulty,
    at,
    rfc3339,
    share_difficulty,
    share_row,
    short_number,
)
from .records import Records

BEGIN, END = at("16 00:00:04"), at("23 00:20:00")
HALF_CREDIT = at("17 00:00:00"), at("18 00:00:00")
OUTAGE = at("18 13:12:00"), at("18 13:59:10")
FAILED_BACK = at("18 14:04:12")
OVERHEATING = at("19 15:00:00"), at("20 15:00:00")
PROXY_DOWN = at("20 03:14:22"), at("20 04:49:03")
RACE_DAY = at("21 06:00:00"), at("21 20:00:00")
RACE_SECONDS = 300
REORDERED = at("22 08:00:00")


MINERS = [
    Miner("kitchen", "bitaxe/BM1370/v2.9.0", 21, 1.10e12, 125_000, True),
    Miner("attic", "bitaxe/BM1370/v2.9.0", 22, 1.08e12, 125_000, True),
    Miner("garage", "NerdQAxe+/BM1368/v1.0.36", 23, 2.4e12, 250_000, True),
    Miner("nerd-1", "NerdMinerV2/1.8.3", 24, 355e3, 0.2, False),
]


def health(miner, time):
    """The part of a miner's hash rate that is left, and the part of its shares that are too easy."""
    if miner.name != "attic":
        return 1.0, 0.0
    ill = min(max((time - OVERHEATING[0]) / (OVERHEATING[1] - OVERHEATING[0]), 0.0), 1.0)
    return 1.0 - 0.62 * ill, 0.16 * ill


class Week:
    """The week: what happens in it, and the records that Sluice writes of it."""

    def __init__(self, seed, is_honest=False):
        self.rng, self.is_honest = random.Random(seed), is_honest
        self.records, self.shares, self.stale_alert, self.best = Records(), [], {}, []
        self.sessions = self.connect_miners()
        self.blocks = self.find_blocks()
        times = [(session, self.share_times(session)) for session in self.sessions]
        self.race = self.place_race([time for _, of_session in times for time in of_session])
        for session in self.sessions:
            self.send_jobs(session)
        for session, of_session in times:
            for time in of_session:
                self.add_share(session, time)
        self.shares.sort(key=lambda share: share["written"])
        for share in self.shares:
            self.records.add("shares.csv", share["written"], share["row"] + "\n")
            self.news_of_share(share)
        self.end_stale_alerts(END)
        self.tell_starts()
        if not is_honest:
            self.tell_outage()
            self.credit = self.watch_credit()

    # What happens.

    def connect_miners(self):
        """Every miner's sessions. Numbers begin again with each run of Sluice."""
        rng, sessions = self.rng, []
        runs = [[(BEGIN + 5, REORDERED + 310, POOL_A), (REORDERED + 311, END + HOUR, POOL_B)]]
        planted = [
            [
                (BEGIN + 5, OUTAGE[0] + 18, POOL_A),
                (OUTAGE[0] + 19, FAILED_BACK, POOL_B),
                (FAILED_BACK + 1, PROXY_DOWN[0], POOL_A),
            ],
            [(PROXY_DOWN[1] + 3, REORDERED + 310, POOL_A), (REORDERED + 311, END + HOUR, POOL_B)],
        ]
        for run in runs if self.is_honest else planted:
            spans = []
            for begin, end, pool in run:
                for place, miner in enumerate(MINERS):
                    start = begin + place * 0.7 + rng.random() * 4
                    # A NerdMiner's Wi-Fi drops it now and then.
                    while miner.name == "nerd-1" and (drop := start + rng.expovariate(1 / DAY)) < end:
                        spans.append((start, drop, miner, pool))
                        start = drop + 6 + rng.random() * 14
                    spans.append((start, end + place * 0.4, miner, pool))
            spans.sort(key=lambda span: span[0])
            sessions += [
                Session(n, miner, pool, begin, end, rng) for n, (begin, end, miner, pool) in enumerate(spans, 1)
            ]
        return sessions

    def find_blocks(self):
        """The times at which the network finds blocks, some of them before the week."""
        blocks, time = [], BEGIN - HOUR
        while time < END:
            time += self.rng.expovariate(1 / 600)
            blocks.append(time)
        return blocks

    def share_times(self, session):
        """A Poisson process, thinned where the miner is ill, and faster while the difficulty is easy."""
        times, time, end = [], session.begin, min(session.end, END)
        miner, easy_until = session.miner, session.begin + 5 * MINUTE
        easy_rate = miner.hash_rate / (HASHES * (miner.difficulty // 8 if miner.difficulty >= 8 else miner.difficulty))
        while True:
            time += self.rng.expovariate(easy_rate)
            if time >= end:
                return times
            job_is_easy = time < easy_until
            keep = 1.0 if job_is_easy or miner.difficulty < 8 else 0.125
            left, bad = (1.0, 0.0) if self.is_honest else health(miner, time)
            if self.rng.random() < keep * left * (1 + bad / (1 - bad)):
                times.append(time)

    def place_race(self, times):
        """The five minutes of a day with the most shares and no block: nothing is added to chance."""
        if self.is_honest:
            return math.inf, math.inf
        times = sorted(times)
        best = (0, 0)
        for begin in range(int(RACE_DAY[0]), int(RACE_DAY[1]), 10):
            near = [block for block in self.blocks if begin - 120 < block < begin + RACE_SECONDS + 120]
            count = bisect.bisect(times, begin + RACE_SECONDS) - bisect.bisect(times, begin)
            best = best if near else max(best, (count, -begin))
        begin = -best[1] + 0.4
        self.blocks = sorted([*self.blocks, begin])
        return begin, begin + RACE_SECONDS

    def send_jobs(self, session):
        """A job at once, with each block, and when there was none for half an hour. After a lost race the pool
        sends the same height once more, on the other block."""
        rng, miner, end = self.rng, session.miner, min(session.end, END)
        tips = [(time, place) for place, time in enumerate(self.blocks)]
        if session.begin < self.race[1] < end:
            tips.append((self.race[1], self.blocks.index(self.race[0])))
        tips.sort()
        current = ([tips[0]] + [tip for tip in tips if tip[0] <= session.begin])[-1]
        coming = [(session.begin + 0.12 + rng.random() * 0.2, current[1], True)]
        coming += [
            (time + 0.9 + rng.random() * 0.9, place, True) for time, place in tips if session.begin + 2 < time < end - 2
        ]
        for place in range(1, len(coming)):
            # Two blocks at nearly the same time stay in their order.
            time, tip, is_new = coming[place]
            coming[place] = max(time, coming[place - 1][0] + 0.05), tip, is_new
        job_number = rng.randrange(0x4000)
        seen, last = 0.0, None
        while coming:
            time, place, is_new = coming.pop(0)
            job_number += 1
            # Pool A's ids are long, pool B's look like numbers in exponent form now and then: 7e3.
            id = f"{0x691F_0000 + job_number:08x}0000{place:04x}" if session.pool == POOL_A else f"{job_number:x}"
            seen = time if is_new else seen
            job = Job(time, id, 967_000 + place, seen)
            session.jobs.append(job)
            fields = [
                f"stratum+tcp://{session.pool}",
                id,
                job.height,
                f"{int(time):08x}",
                rfc3339(time),
                f"{(int(time) * 1000 - round(time * 1000)) / 1e3:.3f}",
                "" if last is None else f"{time - last:.3f}",
                f"{time - seen:.3f}",
                rng.randrange(11, 14),
                session.number,
                session.address,
                miner.worker,
            ]
            self.records.add("timing.csv", time, ",".join(map(str, fields)) + "\n")
            last = time
            due = time + 30 * MINUTE + rng.random() * 0.2
            if due < (coming[0][0] if coming else end):
                coming.insert(0, (due, place, False))

    def add_share(self, session, time):
        rng, miner = self.rng, session.miner
        place = bisect.bisect([job.time for job in session.jobs], time) - 1
        if place < 0:
            return
        job = session.jobs[place]
        # The pool knows a block a moment before the miner does.
        following = session.jobs[place + 1] if place + 1 < len(session.jobs) else None
        is_late = following is not None and following.height != job.height and following.time - time < 0.8
        in_race = self.race[0] + 2 < time < self.race[1]
        _, bad = (1.0, 0.0) if self.is_honest else health(miner, time)
        target = (
            DIFFICULTY_1 * 8 // round(assigned_difficulty(session, job) * 8)
            if miner.difficulty >= 8
            else DIFFICULTY_1 * 5
        )
        hash, result, code, reason = rng.randrange(1, target), "accepted", "", ""
        response = (0.036 if session.pool == POOL_A else 0.081) * math.exp(rng.gauss(0, 0.25))
        if bad and rng.random() < bad:
            # A chip that miscalculates: the hash is no better than any.
            hash, result, code, reason = rng.randrange(DIFFICULTY_1), "rejected", 23, "Above target"
        elif is_late or in_race:
            result, code, reason = "rejected", 21, "Stale"
        # The pool is half dead before it fails, and a share in flight when Sluice dies is never written.
        if OUTAGE[0] - 4 * MINUTE < time < OUTAGE[0] + 18 and not self.is_honest:
            result, code, reason, response = "unanswered" if time < OUTAGE[0] - 60 else "unknown", "", "", None
        time = round(time, 3)
        response = response and round(response, 6)
        waits = response or (60 if result == "unanswered" else session.end - time)
        if time + waits > PROXY_DOWN[0] - 1 and time < PROXY_DOWN[0] and not self.is_honest:
            return
        row = share_row(time, session, job, hash, result, rng, code, reason, response)
        self.shares.append(
            {
                "at": time,
                "written": time + waits,
                "row": row,
                "result": result,
                "reason": reason,
                "hash": hash,
                "miner": miner,
                "session": session,
                "job": job,
                "assigned": assigned_difficulty(session, job),
            }
        )

    # What Sluice says about it.

    def news_of_share(self, share):
        """Alerts about good and stale shares."""
        miner, session, difficulty = share["miner"], share["session"], share_difficulty(share["hash"])
        self.end_stale_alerts(share["written"])
        if share["reason"] == "Stale":
            begun = self.stale_alert.get(session.pool)
            if begun:
                begun["last"], begun["count"] = share["written"], begun["count"] + 1
            else:
                data = {"session": session.number, "subject": session.pool, "worker": miner.worker}
                self.stale_alert[session.pool] = {
                    "begin": share["written"],
                    "last": share["written"],
                    "count": 1,
                    "data": data,
                }
        if share["result"] != "accepted":
            return
        best = self.best[0] if self.best else None
        self.best = sorted([*self.best, share], key=lambda one: one["hash"])[:10]
        if self.best[0] is not share or best is None:
            return
        before = share_difficulty(best["hash"])
        text = f"{miner.name} found the best share ever: {difficulty:.6f}, after {before:.6f}"
        data = {
            "count": 1,
            "subject": miner.worker,
            "worker": miner.worker,
            "hash": f"{share['hash']:064x}",
            "share_difficulty": difficulty,
            "network_difficulty": NETWORK_DIFFICULTY,
            "height": share["job"].height,
            "upstream": session.pool,
            "session": session.number,
            "outcome": "accepted",
            "former_best": before,
            "former_best_at": rfc3339(best["at"]),
        }
        if share["at"] - best["at"] >= HOUR:
            facts = {"difficulty": difficulty, "before": before}
            self.records.event(share["written"], "share.best", "info", miner.worker, text, facts, miner.worker)
        self.records.alert(share["written"], "happened", "info", "share.best", text, data)

    def end_stale_alerts(self, now):
        for pool, alert in list(self.stale_alert.items()):
            if now - alert["last"] > 15 * MINUTE or now == END:
                text = f"{pool}: miners send shares for jobs that a newer job has replaced"
                end = alert["last"] if now - alert["last"] > 15 * MINUTE else None
                self.records.lasting_alert(
                    alert["begin"], end, "info", "share.stale", text, alert["data"], alert["count"]
                )
                del self.stale_alert[pool]

    def tell_starts(self):
        for time, crashed in [(BEGIN, False), (PROXY_DOWN[1], True)][: 1 if self.is_honest else 2]:
            before = "; the last run ended without a shutdown" if crashed else ""
            data = {"after_crash": crashed, "version": "0.1.0"}
            self.records.event(time, "program.start", "info", "sluice", f"Sluice 0.1.0 started{before}", data)
            text = "NTP time is known: this machine's clock is off by 0.012 s"
            self.records.event(
                time + 2.4, "clock.synchronised", "info", "clock", text, {"offset_seconds": 0.012, "servers": 3}
            )
            self.pool_event(time + 6, "connected", "info", POOL_A, f"connected to pool {POOL_A}", 0)
        for miner in MINERS:
            seen = min(
                share["written"] for share in self.shares if share["miner"] is miner and share["result"] == "accepted"
            )
            text = f"{miner.name} mines here for the first time ({miner.agent}, {miner.address})"
            data = {"address": miner.address, "last_seen": rfc3339(seen), "user_agent": miner.agent}
            self.records.event(seen + 0.3, "miner.first_seen", "info", miner.worker, text, data, miner.worker)
        text = "the configuration was reloaded: upstream"
        self.records.event(REORDERED, "program.reload", "info", "sluice", text, {"sections": ["upstream"]})
        self.pool_event(REORDERED + 312, "connected", "info", POOL_B, f"connected to pool {POOL_B}", 0)

    def tell_outage(self):
        refused = f"can't connect: {POOL_A}: connection refused, nothing listens there"
        failed = OUTAGE[0] + 18.6
        self.pool_event(failed, "failed", "medium", POOL_A, f"pool {POOL_A} has failed: {refused}", 0, refused)
        self.pool_event(failed + 0.5, "connected", "info", POOL_B, f"connected to pool {POOL_B}", 1)
        text = f"miners moved to pool {POOL_B}, because {POOL_A} can't be used: {refused}"
        self.records.event(
            failed + 0.5,
            "pool.failed_over",
            "medium",
            POOL_B,
            text,
            {"preferred": POOL_A, "reason": refused},
            upstream=POOL_B,
        )
        text = (
            f"miners work on {POOL_B}, because {POOL_A} can't be used ({POOL_A}: {refused}); they return by themselves "
            "when it has worked for failover.failback_after"
        )
        data = {"subject": "pools", "upstream": POOL_B, "preferred": POOL_A, "pools": f"{POOL_A}: {refused}"}
        self.records.lasting_alert(failed + 0.5, FAILED_BACK + 3.4, "medium", "pool.failed_over", text, data)
        self.pool_event(OUTAGE[1], "returned", "info", POOL_A, f"pool {POOL_A} works again", 0)
        text = f"miners are back on the preferred pool {POOL_A}"
        self.records.event(FAILED_BACK + 3.4, "pool.failed_back", "info", POOL_A, text, {}, upstream=POOL_A)

    def pool_event(self, time, kind, severity, pool, text, rank, reason=None):
        self.records.event(time, f"pool.{kind}", severity, pool, text, {"rank": rank, "reason": reason}, upstream=pool)

    def watch_credit(self):
        """What `pool.stats_mismatch` finds in the figures of pool A, read every half hour."""
        work = [
            (s["written"], s["assigned"])
            for s in self.shares
            if s["session"].pool == POOL_A and s["result"] == "accepted"
        ]

        def half(time):
            return 0.5 if HALF_CREDIT[0] <= time < HALF_CREDIT[1] else 1.0

        alert, found = None, None
        for tick in range(1, int((OUTAGE[0] + DAY - BEGIN) // 1800)):
            now, worst = BEGIN + tick * 1800, None
            for halves in [1, 2, 4, 8, 16, 32]:
                since = now - halves * 1800
                if since < BEGIN:
                    continue
                inner = [size for time, size in work if since + 150 < time <= now - 150]
                credited = sum(size * half(time) for time, size in work if since < time <= now)
                less = sum(inner) - credited
                if len(inner) < 30 or less <= 0:
                    continue
                chance = math.exp(-less * less / (2 * (2 * sum(size * size for size in inner) + max(inner) * less / 3)))
                if chance < 1e-7:
                    worst = {
                        "credited": round(credited, 6),
                        "proven": round(sum(inner), 6),
                        "probability": float(f"{chance:.6g}"),
                    }
            if worst and not alert:
                alert, found = now, worst
            elif alert and not worst:
                percent = f"{found['credited'] / found['proven'] * 100:.0f} %"
                text = (
                    f"{POOL_A}: the pool's statistics credit {short_number(found['credited'])} of the "
                    f"{short_number(found['proven'])} that the shares have proven ({percent})"
                )
                self.records.lasting_alert(
                    alert,
                    now,
                    "medium",
                    "pool.stats_mismatch",
                    text,
                    found | {"subject": POOL_A},
                    int((now - alert) // 1800),
                )
                return {"begun": rfc3339(alert), "ended": rfc3339(now), **found}
        raise SystemExit("the half credit was not found: choose another seed")
