#!/usr/bin/env python3
"""Writes the corpora that fuzzing starts from: the recorded conversations and the jobs of real pools."""

import hashlib
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "tests" / "data"
# A share for any job that leaves room for it.
SUBMIT = '{"id":4,"method":"mining.submit","params":["w","%s","%s","668d76e2","e4f2a1","00b44000"]}'


def write(target, data):
    directory = HERE / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / hashlib.sha1(data).hexdigest()).write_bytes(data)


def main():
    for capture in sorted((DATA / "captures").glob("*.jsonl")):
        for row in map(json.loads, capture.read_text().splitlines()):
            if row["dir"] != "event":
                write("line", row["line"].encode())
    for row in map(json.loads, (DATA / "real_notifies.jsonl").read_text().splitlines()):
        write("line", row["line"].encode())
        params = json.loads(row["line"])["params"]
        halves = [bytes.fromhex(half) for half in params[2:4]]
        total = row["decoded"]["extranonce_total_bytes"]
        write("coinbase", len(halves[0]).to_bytes(2, "little") + bytes([total]) + b"".join(halves))
        line = json.dumps({"id": None, "method": "mining.notify", "params": params})
        for length in (4, 8):
            write("share", f"{line}\n{SUBMIT % (params[0], '00' * length)}".encode())


if __name__ == "__main__":
    main()
