//! Findings of `check` about the machine: file descriptors, a directory that can't be written, the own address.

use std::fs;
use std::process::Command;

use super::{FREE_PORTS, POOL, check_beside_others, sluice, stderr, stdout};

#[test]
fn too_few_descriptors_for_the_miners_are_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    for (mode, wanted) in [("passthrough", "2128"), ("aggregate", "1128")] {
        fs::write(dir.path().join("sluice.toml"), format!("mode = \"{mode}\"\n{POOL}")).unwrap();
        let binary = env!("CARGO_BIN_EXE_sluice");
        let line =
            format!("ulimit -n 300 && exec {binary} check --config sluice.toml {}", FREE_PORTS.join(" "));
        let output = Command::new("sh").args(["-c", &line]).current_dir(dir.path()).output().unwrap();
        let said = stdout(&output);
        assert_eq!(output.status.code(), Some(0), "{said}{}", stderr(&output));
        for part in ["Warning: ", "may open 300 files", "listen.max_miners = 1000", wanted, "LimitNOFILE="] {
            assert!(said.contains(part), "{part:?} is not in\n{said}");
        }
    }
    let (_dir, output) = check_beside_others(&format!("{POOL}[listen]\nmax_miners = 3\n"));
    assert!(!stdout(&output).contains("LimitNOFILE"), "{}", stdout(&output));
}

#[test]
fn a_data_dir_in_a_file_system_of_the_kernel_is_an_error() {
    for data_dir in ["/proc/sluice", "/proc/sluice/data", "/sys/sluice"] {
        let (_dir, output) = check_beside_others(&format!("data_dir = \"{data_dir}\"\n{POOL}"));
        assert_eq!(output.status.code(), Some(1), "{data_dir}: {}", stdout(&output));
        assert!(stderr(&output).contains("data_dir: cannot write to"), "{}", stderr(&output));
    }
}

#[test]
fn a_pool_that_is_sluice_itself_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (pool, listen, is_itself) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("localhost", "0.0.0.0", true),
        ("127.0.0.1", "0.0.0.0", true),
        ("[::1]", "127.0.0.1", false),
        ("192.0.2.1", "0.0.0.0", false),
        ("pool.example", "0.0.0.0", false),
    ] {
        let (pool, listen) = (format!("stratum+tcp://{pool}:{port}"), format!("{listen}:{port}"));
        for command in ["check", "run"] {
            if command == "run" && !is_itself {
                continue;
            }
            let args = [command, "--pool", &pool, "--listen", &listen, "--http", "127.0.0.1:0"];
            let output = sluice(dir.path(), &args);
            let code = if is_itself { 1 } else { 0 };
            assert_eq!(output.status.code(), Some(code), "{pool} {listen}: {}", stderr(&output));
            let said = stderr(&output);
            assert_eq!(
                said.contains("upstream[1].url: this is an address that Sluice itself listens on"),
                is_itself
            );
        }
    }
}
