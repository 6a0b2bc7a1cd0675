#!/usr/bin/env python3
"""Checks everything here that reads records: the sample week, the reference, pandas, DuckDB, the documents' queries.

    scripts/analysis/check.py                    check, code 1 if something differs
    scripts/analysis/check.py --write            put the answers into docs/analysis.md, and what a report must have
    scripts/analysis/check.py --sluice BINARY    compare with sluice report, too

Needs pandas, DuckDB and matplotlib.
"""

import argparse
import ast
import contextlib
import gzip
import io
import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# Leaves no compiled files beside the sources.
sys.dont_write_bytecode = True

import duckdb
import pandas as pd
import plots
import reference
import sluice_records

ROOT = Path(__file__).resolve().parents[2]
WEEK = ROOT / "tests/data/sample_week"
EXPECTED = WEEK / "expected.json"
DOCUMENT = ROOT / "docs/analysis.md"
HEX = ["nonce", "ntime", "version", "extranonce1", "extranonce2", "hash"]
# The findings of a week, and the seeds of more such weeks and of honest ones.
PLANTED = ["chain.race", "pool.credit", "pool.outage", "sluice.down", "worker.ill"]
PLANTED_SEEDS, HONEST_SEEDS = [105, 110, 115], [100, 103, 105, 110, 115]
# A query, and the block with its answer.
QUERY = re.compile(r"```(sql|python)\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)
DISPLAY = ("display.width", 140, "display.max_columns", 20, "display.max_colwidth", 70)

failures = []


def expect(is_good, what):
    if not is_good:
        failures.append(what)


def totals_of(directory):
    """The reference's report, and the number of rows that it takes."""
    computed = reference.Reference()
    for kind, path in reference.record_files([directory]):
        computed.read(kind, path)
    return computed.report()


def connect(directory):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"SET VARIABLE records = '{directory}'")
    connection.execute((ROOT / "scripts/analysis/views.sql").read_text())
    return connection


def check_week(directory):
    """The script makes the same files again."""
    subprocess.run([ROOT / "scripts/sample-week", directory], check=True)

    def content(path):
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()

    def names(path):
        return {file.name for file in path.iterdir()} - {EXPECTED.name}

    expect(names(WEEK) == names(directory), f"other files than in {WEEK}")
    for name in names(WEEK) & names(directory):
        expect(content(WEEK / name) == content(directory / name), f"scripts/sample-week makes another {name}")


def check_reference(is_written):
    text = json.dumps(totals_of(WEEK), indent=2) + "\n"
    if is_written:
        EXPECTED.write_text(text)
    expect(EXPECTED.read_text() == text, f"reference.py computes other figures than {EXPECTED}; see --write")


def check_loading(directory):
    """pandas and DuckDB find the figures that the reference finds, and text where it is text."""
    records, database = sluice_records.load(directory), connect(directory)
    shares = database.execute("SELECT worker, coalesce(upstream, '') AS upstream, proven_difficulty FROM shares").df()
    check_figures(directory, "DuckDB", shares)
    check_figures(directory, "pandas", records.shares)
    for view in ("timing", "events", "alerts"):
        count = database.execute(f"SELECT count(*) FROM {view}").fetchone()[0]
        loaded = len(getattr(records, view))
        expect(count == loaded > 0, f"{directory}: {count} rows of {view} in DuckDB, {loaded} in pandas")
    types = dict(database.execute("SELECT column_name, column_type FROM (DESCRIBE shares)").fetchall())
    for column in [*HEX, "job_id", "msg_id"]:
        expect(types[column] == "VARCHAR", f"DuckDB: {column} is {types[column]}")
        expect(records.shares[column].dtype == "string", f"pandas: {column} is {records.shares[column].dtype}")


def check_figures(directory, program, shares):
    expected = totals_of(directory)
    for by, list_name in (("worker", "workers"), ("upstream", "pools")):
        groups = shares.fillna({by: ""}).groupby(by)["proven_difficulty"].agg(["size", "sum"])
        found = {name: (int(row["size"]), float(row["sum"])) for name, row in groups.iterrows()}
        right = {one[by]: (one["submitted"], one["proven_difficulty"]) for one in expected[list_name]}
        is_same = found.keys() == right.keys() and all(
            found[name][0] == right[name][0] and math.isclose(found[name][1], right[name][1], rel_tol=1e-9)
            for name in right
        )
        expect(is_same, f"{directory}: {program} has {found}, the reference {right}")


def make_damaged(directory):
    """A directory of two versions, after a crash, with names that are traps."""
    rows = gzip.decompress((WEEK / "shares-2026-11-16.1.csv.gz").read_bytes()).decode().split("\n")[:101]

    def fields(row, **changes):
        return ",".join(changes.get(name, old) for name, old in zip(rows[0].split(","), row.split(",")))

    number = "20000000"
    rows[1] = fields(rows[1], worker="NA", version=number, nonce="00000001", job_id="7e3")
    rows[2] = fields(rows[2], worker='"a, ""b"""', reject_reason="null")
    rows[3] = fields(rows[3], worker="'=cmd()", result="unanswered", response_ms="")
    rows[4] = fields(rows[4], worker="", upstream="")
    rows[5] = fields(rows[5], timestamp="yesterday")
    rows[6] = rows[6][: len(rows[6]) // 2]
    rows[7] += ",more"
    rows.append(rows[8])
    (directory / "shares-2026-11-16.1.csv").write_text("\n".join(rows) + "\n")
    # What is there twice, because a crash came in between, counts once.
    (directory / "shares-2026-11-16.1.csv.gz").write_bytes(gzip.compress(("\n".join(rows) + "\n").encode()))
    nine = "timestamp,miner_addr,worker,job_id,nonce,share_difficulty,job_age_seconds,is_block,msg_id\n"
    old = "2025-10-02T11:22:33.123456+00:00,10.0.0.7:5000,rig,1a,00ff,512.000000,3.1,pending,7\n"
    (directory / "shares-2025-10-02.1.csv").write_text(nine + old)
    jobs = gzip.decompress((WEEK / "timing-2026-11-16.1.csv.gz").read_bytes()).decode().split("\n")[:50]
    (directory / "timing.csv").write_text("\n".join(jobs) + "\n")
    (directory / "timing-2026-11-15.1.csv").write_text("\n".join(",".join(row.split(",")[:9]) for row in jobs) + "\n")
    for name in ("events.jsonl", "alerts.log"):
        (directory / name).write_bytes((WEEK / name).read_bytes() + b"torn, without an en")


def tear_quote(directory):
    """Adds a file with a quote that is not closed. DuckDB can't read such a file; Sluice never leaves one."""
    rows = gzip.decompress((WEEK / "shares-2026-11-17.1.csv.gz").read_bytes()).decode().split("\n")[:10]
    rows[5] = rows[5].replace("bc1q", '"bc1q', 1)
    (directory / "shares-2026-11-17.1.csv").write_text("\n".join(rows) + "\n")


def table(header, rows):
    """A plain table, numbers to the right."""

    def text(value):
        return "" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)

    columns = [[name, *(text(row[place]) for row in rows)] for place, name in enumerate(header)]
    widths = [max(map(len, column)) for column in columns]
    is_number = [
        all(isinstance(row[place], (int, float)) for row in rows if row[place] is not None)
        for place in range(len(header))
    ]

    def align(cell, width, right):
        return cell.rjust(width) if right else cell.ljust(width)

    lines = ["  ".join(map(align, line, widths, is_number)).rstrip() for line in zip(*columns)]
    return "\n".join(lines) + "\n"


def answer_sql(database, query):
    result = database.execute(query)
    return table([column[0] for column in result.description], result.fetchall())


def answer_python(records, code):
    """Runs the code; the value of its last line is printed as the interpreter does."""
    names = vars(records) | {"pd": pd, "sluice_records": sluice_records}
    *body, last = ast.parse(code).body
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), pd.option_context(*DISPLAY):
        exec(compile(ast.Module(body, []), "docs/analysis.md", "exec"), names)
        print(eval(compile(ast.Expression(last.value), "docs/analysis.md", "eval"), names))
    return "\n".join(line.rstrip() for line in printed.getvalue().split("\n"))


def check_document(is_written):
    """The answers in the document are those of the sample week."""
    database, records, text = connect(WEEK), sluice_records.load(WEEK), DOCUMENT.read_text()

    def answer(block):
        language, query, _ = block.groups()
        found = answer_sql(database, query) if language == "sql" else answer_python(records, query)
        return f"```{language}\n{query}```\n\n```text\n{found}```"

    answered = QUERY.sub(answer, text)
    if is_written:
        DOCUMENT.write_text(answered)
    expect(is_written or answered == text, "docs/analysis.md has other answers than the sample week; see --write")


def check_sluice(binary, directory):
    """The report has the reference's figures, and its export the right types wherever types are guessed."""
    export = directory / "export.csv"
    for path in (WEEK, directory / "damaged"):
        run = subprocess.run(
            [binary, "report", path, "--json", "--csv", export], check=True, capture_output=True, text=True
        )
        for difference in reference.differences(totals_of(path), json.loads(run.stdout)):
            expect(False, f"sluice report {path}: {difference}")
        guessed = dict(duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{export}')").fetchall())
        frame = pd.read_csv(export)
        for column in [*HEX, "job_id", "msg_id"]:
            expect(
                guessed[column] == "VARCHAR", f"{path}: DuckDB guesses that {column} of the export is {guessed[column]}"
            )
            expect(
                pd.api.types.is_string_dtype(frame[column]),
                f"{path}: pandas guesses that {column} is {frame[column].dtype}",
            )
        count = totals_of(path)["totals"]["submitted"]
        expect(len(frame) == count, f"{path}: the export has {len(frame)} rows of {count}")


def check_findings(binary, directory):
    """In other weeks, too, the report finds what was planted, and nothing in honest ones."""
    seeds = [(seed, [], PLANTED) for seed in PLANTED_SEEDS] + [(seed, ["--honest"], []) for seed in HONEST_SEEDS]
    for seed, options, expected in seeds:
        week = directory / f"week_{seed}{''.join(options)}"
        subprocess.run([ROOT / "scripts/sample-week", "--seed", str(seed), *options, week], check=True)
        run = subprocess.run([binary, "report", week, "--json"], check=True, capture_output=True, text=True)
        found = sorted(finding["id"] for finding in json.loads(run.stdout)["findings"])
        expect(found == expected, f"seed {seed} {options}: sluice report finds {found}, not {expected}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/analysis.md and expected.json anew")
    parser.add_argument("--sluice", metavar="BINARY", help="compare with this program's report")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        check_week(directory / "week")
        check_reference(arguments.write)
        (directory / "damaged").mkdir()
        make_damaged(directory / "damaged")
        for path in (WEEK, directory / "damaged"):
            check_loading(path)
        tear_quote(directory / "damaged")
        check_figures(directory / "damaged", "pandas", sluice_records.load_shares(directory / "damaged"))
        check_document(arguments.write)
        expect(len(plots.draw_all(WEEK, directory / "plots")) == 6, "plots.py did not draw its pictures")
        if arguments.sluice:
            check_sluice(arguments.sluice, directory)
            check_findings(arguments.sluice, directory)
    print("\n".join(failures) or "the sample week, the reference, pandas, DuckDB and docs/analysis.md agree")
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
