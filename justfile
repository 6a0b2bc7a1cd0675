# `just` lists the recipes. What CI runs is `.ci/run`; each of its steps is a recipe here.

_default:
    @just --list --unsorted

# Everything that must pass before a change is accepted
ci:
    .ci/run

# Only some steps of it: `just steps fmt clippy`
steps *NAMES:
    .ci/run {{NAMES}}

# The formatting is what rustfmt writes
fmt:
    .ci/run fmt

# Every link between the documents leads somewhere
links:
    .ci/run links

# The Prometheus alerts do what their cases expect (needs promtool)
alerts:
    .ci/run alerts

# Clippy, and the lints of Cargo.toml
clippy:
    .ci/run clippy

# The documentation of the code builds without a warning
doc:
    .ci/run doc

# The program builds with the oldest Rust that Cargo.toml promises
msrv:
    .ci/run msrv

# The fuzz targets compile
fuzz:
    .ci/run fuzz

# Licences, banned and duplicate crates, advisories (needs cargo-deny)
deny:
    .ci/run deny

# All tests, or those of one module: `just test`, `just test --test suite failover::`
test *ARGS:
    @if [ -z "{{ARGS}}" ]; then .ci/run test; else cargo test --locked {{ARGS}}; fi

# What reads the records in Python agrees (needs Python 3.11); `--write` in scripts/analysis/check.py writes the answers
analysis:
    .ci/run analysis

# The images, manifests and configurations under deploy/ are right
manifests:
    .ci/run manifests

# The Debian package of the tests' program, in a fresh Debian (needs root)
package:
    .ci/run package

# The program for another processor, on Debian: `sudo just cross-build arm64`
cross-build ARCH:
    scripts/cross-build {{ARCH}}

# The Debian package for a processor, from cross-build's program or `--binary FILE`: `just deb arm64`
deb *ARGS:
    scripts/package {{ARGS}}

# A complete world on this machine: a simulated pool, simulated miners, the proxy, the page
demo *ARGS:
    cargo run --release --locked -- demo {{ARGS}}

# All benchmarks, three hours: prints the tables of docs/benchmarks.md
bench:
    scripts/benchmarks.sh
