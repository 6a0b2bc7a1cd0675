"""What is left of the week: `state.json`, and the truth that tests compare with."""

from .formats import ACCOUNT, POOL_A, POOL_B, rfc3339, share_difficulty
from .week import BEGIN, END, FAILED_BACK, HALF_CREDIT, MINERS, OUTAGE, OVERHEATING, PROXY_DOWN, REORDERED


def state(week):
    """The content of `state.json` after the week."""

    def totals(result):
        return sum(1 for share in week.shares if share["result"] == result)

    def saved(share):
        return {
            "worker": share["miner"].worker,
            "difficulty": share_difficulty(share["hash"]),
            "hash": f"{share['hash']:064x}",
            "at": rfc3339(share["at"]),
        }

    accepted = [share for share in week.shares if share["result"] == "accepted"]
    best_of = {
        miner.worker: min((s for s in accepted if s["miner"] is miner), key=lambda s: s["hash"]) for miner in MINERS
    }
    known = {
        miner.worker: {
            "first_seen": rfc3339(min(s["written"] for s in accepted if s["miner"] is miner)),
            "last_seen": rfc3339(END - 31),
            "address": miner.address,
            "user_agent": miner.agent,
        }
        for miner in MINERS
    }
    return {
        "version": 1,
        "best": [saved(share) for share in week.best],
        "best_by_worker": {worker: saved(best_of[worker]) for worker in sorted(best_of)},
        "lifetime": {
            **{result: totals(result) for result in ["accepted", "rejected", "unanswered", "unknown"]},
            "blocks": 0,
            "accepted_difficulty": float(sum(share["assigned"] for share in accepted)),
            "seconds": int(END - BEGIN - (0 if week.is_honest else PROXY_DOWN[1] - PROXY_DOWN[0])),
        },
        "fingerprints": {},
        "known_workers": dict(sorted(known.items())),
        "alerts": {"open": [], "counts": dict(sorted(week.records.alert_counts.items()))},
    }


def truth(week):
    """What was planted, for tests."""
    stale = [s for s in week.shares if s["reason"] == "Stale" and week.race[0] < s["at"] < week.race[1]]
    attic = [s for s in week.shares if s["miner"].name == "attic"]

    def silent(result):
        return sum(1 for s in week.shares if s["result"] == result)

    last = max(s["at"] for s in week.shares if s["at"] < PROXY_DOWN[0])
    first = min(s["at"] for s in week.shares if s["at"] > PROXY_DOWN[1])
    return {
        "from": rfc3339(BEGIN),
        "to": rfc3339(END),
        "workers": sorted(miner.worker for miner in MINERS),
        "pools": [f"stratum+tcp://{POOL_A}", f"stratum+tcp://{POOL_B}"],
        "hash_rates": {miner.worker: miner.hash_rate for miner in MINERS},
        "planted": {
            "half_credit": {
                "upstream": POOL_A,
                "from": rfc3339(HALF_CREDIT[0]),
                "to": rfc3339(HALF_CREDIT[1]),
                "part": 0.5,
                "alert": week.credit,
            },
            "overheating": {
                "worker": f"{ACCOUNT}.attic",
                "from": rfc3339(OVERHEATING[0]),
                "worst_from": rfc3339(OVERHEATING[1]),
                "hash_rate_left": 0.38,
                "too_easy_part": 0.16,
                "too_easy_shares": sum(1 for s in attic if s["reason"] == "Above target"),
            },
            "outage": {
                "upstream": POOL_A,
                "from": rfc3339(OUTAGE[0]),
                "to": rfc3339(OUTAGE[1]),
                "failed_back": rfc3339(FAILED_BACK + 3.4),
                "unanswered": silent("unanswered"),
                "unknown": silent("unknown"),
            },
            "proxy_down": {
                "from": rfc3339(PROXY_DOWN[0]),
                "to": rfc3339(PROXY_DOWN[1]),
                "last_share": rfc3339(last),
                "next_share": rfc3339(first),
            },
            "block_race": {
                "upstream": POOL_A,
                "from": rfc3339(week.race[0]),
                "to": rfc3339(week.race[1]),
                "height": 967_000 + week.blocks.index(week.race[0]),
                "stale_shares": len(stale),
            },
        },
        "honest": {
            "reordered": f"from {rfc3339(REORDERED + 311)} miners work on {POOL_B}, which the owner has put first",
            "workers": [f"{ACCOUNT}.{name}" for name in ["kitchen", "garage", "nerd-1"]],
        },
    }
