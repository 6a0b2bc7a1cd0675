//! The user's own program, which gets the alert as JSON on stdin and in its environment.

use std::env;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::message::Message;
use super::pace::SendFailure;
use crate::config::Secret;
use crate::util::escape::line_text;
use crate::util::os_error::describe;

/// Environment variables that the program inherits. Others may contain secrets.
const PASSED_ENV: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// Exit code of a program that asks for a retry.
const EX_TEMPFAIL: i32 = 75;

/// Time between two polls of the program.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Caps the bytes of its stderr that are kept.
const MAX_STDERR: usize = 512;

/// Runs the program for at most `limit`, or until `is_over`, then kills it with its children. The first
/// line of its stderr is logged at debug level; its stdout is discarded.
///
/// # Errors
/// If it can't be started, is killed, or exits with another code than 0; after 75, a retry makes sense.
pub(super) fn run(
    command: &[Secret],
    message: &Message,
    limit: Duration,
    is_over: &dyn Fn() -> bool,
) -> Result<(), SendFailure> {
    let (program, arguments) = command.split_first().ok_or_else(|| SendFailure::never("no program"))?;
    let mut command = Command::new(program.expose());
    command
        .args(arguments.iter().map(Secret::expose))
        .env_clear()
        .envs(PASSED_ENV.iter().filter_map(|name| Some((name, env::var_os(name)?))))
        .env("SLUICE_ALERT_ID", message.row.id)
        .env("SLUICE_ALERT_KIND", message.row.kind.as_str())
        .env("SLUICE_ALERT_SEVERITY", message.row.severity.as_str())
        .env("SLUICE_ALERT_TIME", message.row.at.to_string())
        .env("SLUICE_ALERT_SUBJECT", message.subject())
        .env("SLUICE_ALERT_DESCRIPTION", message.description())
        .env("SLUICE_ALERT_TITLE", message.title())
        .env("SLUICE_ALERT_TEXT", message.text())
        .env("SLUICE_PAGE", message.page.as_deref().unwrap_or_default())
        // A process group of its own, so that it can be killed with its children.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = command
        .spawn()
        .map_err(|why| SendFailure::never(format!("it can't be started: {}", describe(&why))))?;
    let mut running = RunningProgram::new(child, &message.json());
    let result = running.wait(Instant::now() + limit, is_over);
    if let Some(line) = String::from_utf8_lossy(&running.stderr_start).lines().next() {
        log::debug!("a notification program wrote to stderr: {}", line_text(line, 200));
    }
    match result {
        Ok(Some(status)) if status.success() => Ok(()),
        Ok(Some(status)) if status.code() == Some(EX_TEMPFAIL) => {
            Err(SendFailure::later("it asked for a retry (exit code 75)"))
        }
        Ok(Some(status)) => Err(SendFailure::never(format!("it ended with {status}"))),
        Ok(None) => Err(SendFailure::never(format!("it did not end within {limit:?} and was killed"))),
        Err(why) => Err(SendFailure::never(format!("it can't be monitored: {}", describe(&why)))),
    }
}

/// A running program with its pipes and unwritten input. Dropping it kills the program.
struct RunningProgram {
    child: Child,
    stdin: Option<ChildStdin>,
    stderr: Option<ChildStderr>,
    unwritten: Vec<u8>,
    stderr_start: Vec<u8>,
    has_ended: bool,
}

impl RunningProgram {
    fn new(mut child: Child, input: &str) -> RunningProgram {
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let unwritten = format!("{input}\n").into_bytes();
        RunningProgram { child, stdin, stderr, unwritten, stderr_start: Vec::new(), has_ended: false }
    }

    /// Waits for the end; `None` if the deadline comes first. The pipes never block, whatever the program
    /// does.
    fn wait(&mut self, deadline: Instant, is_over: &dyn Fn() -> bool) -> io::Result<Option<ExitStatus>> {
        self.stdin.as_ref().map_or(Ok(()), set_nonblocking)?;
        self.stderr.as_ref().map_or(Ok(()), set_nonblocking)?;
        loop {
            self.write();
            let status = self.child.try_wait()?;
            self.read();
            if status.is_some() {
                self.has_ended = true;
                return Ok(status);
            }
            if Instant::now() >= deadline || is_over() {
                return Ok(None);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    fn write(&mut self) {
        let Some(stdin) = &mut self.stdin else { return };
        while !self.unwritten.is_empty() {
            match stdin.write(&self.unwritten) {
                Ok(written) if written > 0 => drop(self.unwritten.drain(..written)),
                Err(why) if why.kind() == io::ErrorKind::WouldBlock => return,
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                // It does not read its input.
                Ok(_) | Err(_) => break,
            }
        }
        self.stdin = None;
    }

    /// Reads all of stderr, so that the program does not block, and keeps the beginning.
    fn read(&mut self) {
        let Some(stderr) = &mut self.stderr else { return };
        let mut chunk = [0; 1024];
        // Bounded, so that a program that never stops writing is still polled.
        for _ in 0..64 {
            let Ok(read @ 1..) = stderr.read(&mut chunk) else { break };
            let room = MAX_STDERR.saturating_sub(self.stderr_start.len());
            self.stderr_start.extend(chunk.iter().take(read.min(room)));
        }
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        if !self.has_ended {
            let _ = i32::try_from(self.child.id()).map(|group| killpg(Pid::from_raw(group), Signal::SIGKILL));
            let _ = self.child.wait();
        }
    }
}

fn set_nonblocking(pipe: &impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
