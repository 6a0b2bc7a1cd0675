//! The tests of the whole program, most of them through real sockets. All are one program, so that one link and one
//! copy of the crate serve them all: each file of this directory is a module of it, with its parts in a directory
//! of the same name. `cargo test failover::` runs one module, `cargo test --test suite -- --exact name` one test.
//!
//! They run side by side in one process. A test that measures or changes what belongs to the whole process (memory,
//! threads, descriptors, a static) runs in a process of its own, see `common/own_process.rs`.

mod aggregate;
mod alarms;
mod analyzer;
mod arrival;
mod bytes;
mod cli;
mod clock;
mod coinbases;
mod common;
mod config;
mod console;
mod demo;
mod devices;
mod enforcement;
mod failover;
mod floods;
mod forensics;
mod hostile;
mod hot_path;
mod http;
mod layers;
mod leaks;
mod leaving;
mod many;
mod neighbours;
mod notify;
mod odd_jobs;
mod page;
mod pool_stats;
mod process;
mod readiness;
mod record;
mod reference;
mod regressions;
mod reload;
mod report;
mod service_manager;
mod sim;
mod status_json;
mod status_metrics;
mod supervision;
mod vectors;
mod verify;
mod work_properties;
mod work_vectors;
