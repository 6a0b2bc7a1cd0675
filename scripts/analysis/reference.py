#!/usr/bin/env python3
"""Computes the totals of `sluice report --json` a second time, from the records alone.

    scripts/analysis/reference.py data/                      print them
    scripts/analysis/reference.py data/ --compare out.json   compare them with a report; code 1 if they differ

It shares no code with Sluice, reads with Python's own csv module, and keeps every hash, where Sluice has bounds. Needs
Python 3.11 and nothing else.
"""

import argparse
import csv
import gzip
import io
import json
import math
import re
import sys
import zlib
from datetime import datetime, timezone
from pathlib import Path

# The hashes that a share of difficulty 1 takes on average, by every pool's convention.
HASHES = 2**32
NAMES = {
    kind: re.compile(rf"{kind}(-\d{{4}}-\d\d-\d\d\.\d+)?\.{extension}(\.gz)?")
    for kind, extension in (("shares", "csv"), ("timing", "csv"), ("events", "jsonl"), ("alerts", "log"))
}
# The name that the Python proxy gave to its shares.
PYTHON_SHARES = "share_analysis.txt"
ALERT_HEAD = re.compile(r"\[(\S+)\] (?:INFO|LOW|MEDIUM|HIGH): [a-z._]{1,64}")
RESULTS = ("accepted", "rejected", "unanswered", "unknown")
COUNTS = ("submitted", *RESULTS)
SUMS = ("proven_difficulty", "accepted_difficulty", "hashrate")
# A row of Sluice's is much shorter.
MAX_ROW = 64 * 1024


def record_files(paths):
    """The files of the named directories with their kinds, oldest first. A file that is named itself has its kind by
    its name; one with another name has shares."""
    for path in map(Path, paths):
        files = sorted(path.iterdir(), key=by_age) if path.is_dir() else [path]
        for file in files:
            kind = next((kind for kind, name in NAMES.items() if name.fullmatch(file.name)), None)
            if file.name == PYTHON_SHARES or not path.is_dir():
                kind = kind or "shares"
            # A crash in the middle of compressing leaves both; the compressed one is whole.
            if kind and file.with_name(file.name + ".gz") not in files:
                yield kind, file


def by_age(file):
    return not re.search(r"\d", file.name), [int(digits) for digits in re.findall(r"\d+", file.name)]


def read_lines(path):
    """The lines of a file, as bytes without their ends; `None` at the end of a gzip that is cut off."""
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        try:
            for line in io.BufferedReader(file, 1 << 20):
                yield line.rstrip(b"\n").removesuffix(b"\r")
        except (EOFError, OSError, zlib.error):
            yield None


def parse_fields(line):
    """The fields of a row. A line break ends every row, since Sluice escapes those in texts."""
    if len(line) > MAX_ROW or b"\0" in line:
        raise ValueError("too long, or NULs")
    text = line.decode("utf-8")
    if '"' in text:
        return next(csv.reader([text], strict=True))
    return text.split(",")


def parse_time(text):
    time = datetime.fromisoformat(text)
    time = time if time.tzinfo else time.replace(tzinfo=timezone.utc)
    return round(time.timestamp() * 1000)


def parse_number(text):
    if not text:
        return None
    value = float(text)
    if not math.isfinite(value) or value < 0 or text != text.strip() or "_" in text:
        raise ValueError(text)
    return value


class Tally:
    """The figures of a worker, of a pool, or of all."""

    def __init__(self):
        self.counts, self.proven, self.accepted = dict.fromkeys(COUNTS, 0), [], []

    def add(self, result, assigned, is_proven):
        self.counts["submitted"] += 1
        self.counts[result] += 1
        if is_proven:
            self.proven.append(assigned)
        if result == "accepted":
            self.accepted.append(assigned or 0.0)

    def figures(self, seconds):
        proven = math.fsum(self.proven)
        rate = proven * HASHES / seconds if seconds > 0 else None
        return self.counts | {
            "proven_difficulty": proven,
            "accepted_difficulty": math.fsum(self.accepted),
            "hashrate": rate,
        }


class Reference:
    """All records that were read."""

    def __init__(self):
        self.all, self.workers, self.pools, self.reasons = Tally(), {}, {}, {}
        self.damaged, self.hashes, self.first, self.last = 0, set(), math.inf, -math.inf

    def read(self, kind, path):
        take = {"shares": self.add, "timing": self.add_job, "events": self.add_event, "alerts": self.add_alert_line}[
            kind
        ]
        self.columns, self.has_alert = None, False
        for line in read_lines(path):
            if line == b"":
                continue
            try:
                if kind in ("shares", "timing"):
                    fields = parse_fields(line)
                    if self.columns is None or fields[0] == self.columns[0]:
                        self.columns = fields
                        continue
                    if len(fields) != len(self.columns):
                        raise ValueError("other fields than the header")
                    line = dict(zip(self.columns, fields))
                take(line)
            except (ValueError, csv.Error, KeyError, TypeError, AttributeError):
                self.damaged += 1

    def add_job(self, row):
        parse_time(row["ntp_time"])
        parse_number(row.get("receive_gap_seconds", ""))

    def add_event(self, line):
        event = json.loads(line)
        if not isinstance(event["kind"], str):
            raise ValueError(event["kind"])
        parse_time(event["at"])

    def add_alert_line(self, line):
        text = line.decode("utf-8", "replace")
        if text.startswith("["):
            head = ALERT_HEAD.fullmatch(text)
            self.has_alert = head is not None
            parse_time(head.group(1))
        elif text.startswith("Description: "):
            if not self.has_alert:
                raise ValueError("a description of no alert")
            self.has_alert = False
        elif not text.startswith(("Data: ", "-----")):
            raise ValueError("no part of an alert")

    def add(self, row):
        at = parse_time(row["timestamp"])
        result = row.get("result", "unknown")
        if result not in RESULTS:
            raise ValueError(result)
        found, assigned = parse_number(row["share_difficulty"]), parse_number(row.get("assigned_difficulty", ""))
        for column in ("job_age_seconds", "response_ms"):
            parse_number(row.get(column, ""))
        if "result" not in row:
            # The Python proxy wrote what the pool asked for, and never the hash.
            found, assigned = None, found
        hash = row.get("hash", "")
        is_repeated = hash != "" and hash in self.hashes
        self.hashes.add(hash)
        is_proven = found is not None and assigned is not None and found >= assigned > 0 and not is_repeated
        for tally in (
            self.all,
            self.workers.setdefault(row["worker"], Tally()),
            self.pools.setdefault(row.get("upstream", ""), Tally()),
        ):
            tally.add(result, assigned, is_proven)
        if result == "rejected":
            key = (row.get("reject_code", ""), row.get("reject_reason", ""))
            self.reasons[key] = self.reasons.get(key, 0) + 1
        self.first, self.last = min(self.first, at), max(self.last, at)

    def report(self):
        seconds = (self.last - self.first) / 1000

        def named(tallies, key):
            figures = [{key: name} | tallies[name].figures(seconds) for name in tallies]
            return sorted(figures, key=lambda one: (-one["proven_difficulty"], one[key]))

        return {
            "from": time_text(self.first),
            "to": time_text(self.last),
            "totals": self.all.figures(seconds),
            "workers": named(self.workers, "worker"),
            "pools": named(self.pools, "upstream"),
            "reasons": [
                {"code": int(code) if code else None, "reason": reason, "shares": n}
                for (code, reason), n in sorted(self.reasons.items(), key=lambda one: (-one[1], one[0]))
            ],
            "damaged": {"rows": self.damaged},
        }


def time_text(milliseconds):
    time = datetime.fromtimestamp(milliseconds // 1000, timezone.utc)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"


def differences(ours, theirs):
    """Every figure of ours that the report has otherwise, as a sentence."""
    for key in ("from", "to"):
        if ours[key] != theirs.get(key):
            yield f"{key}: {ours[key]} here, {theirs.get(key)} there"
    yield from figure_differences("totals", ours["totals"], theirs["totals"])
    for list_name, key in (("workers", "worker"), ("pools", "upstream")):
        found = {one[key]: one for one in theirs[list_name]}
        expected = {one[key]: one for one in ours[list_name]}
        if found.keys() != expected.keys():
            yield f"{list_name}: {sorted(expected)} here, {sorted(found)} there"
        for name in expected.keys() & found.keys():
            yield from figure_differences(f"{list_name}, {name}", expected[name], found[name])

    def count(reasons):
        return {
            (str(one["code"] if one["code"] is not None else ""), one["reason"] or ""): one["shares"] for one in reasons
        }

    if count(ours["reasons"]) != count(theirs["reasons"]):
        yield f"reasons: {count(ours['reasons'])} here, {count(theirs['reasons'])} there"
    if ours["damaged"]["rows"] != theirs["damaged"]["rows"]:
        yield f"damaged rows: {ours['damaged']['rows']} here, {theirs['damaged']['rows']} there"


def figure_differences(where, ours, theirs):
    for key in COUNTS:
        if ours[key] != theirs[key]:
            yield f"{where}: {key} is {ours[key]} here, {theirs[key]} there"
    for key in SUMS:
        # Sums of floats depend on their order.
        is_same = ours[key] == theirs[key] or (
            None not in (ours[key], theirs[key]) and math.isclose(ours[key], theirs[key], rel_tol=1e-9)
        )
        if not is_same:
            yield f"{where}: {key} is {ours[key]} here, {theirs[key]} there"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", help="data directories, or files with shares")
    parser.add_argument("--compare", metavar="FILE", help="the output of sluice report --json; - for stdin")
    arguments = parser.parse_args()
    reference = Reference()
    for kind, path in record_files(arguments.paths):
        reference.read(kind, path)
    if reference.all.counts["submitted"] == 0:
        raise SystemExit("there is no share in these files")
    ours = reference.report()
    if not arguments.compare:
        print(json.dumps(ours, indent=2, ensure_ascii=False))
        return
    theirs = json.load(sys.stdin if arguments.compare == "-" else open(arguments.compare, encoding="utf-8"))
    found = list(differences(ours, theirs))
    print("\n".join(found) or "the report has the same figures")
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
