//! Faults of a configuration. Each message names the key, the value and a correct value, and never
//! contains a secret.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::specification::variable_name;
use crate::util::os_error::describe;

/// The reason why no configuration could be loaded.
#[derive(Debug)]
pub enum ConfigError {
    /// Neither a file nor a pool was named, and no file exists at the usual paths.
    NoFile { searched: Vec<PathBuf> },
    /// The file could not be read as text.
    Unreadable { file: PathBuf, reason: io::Error },
    /// All faults in the order of the file, those of flags last; never empty.
    Invalid { file: Option<PathBuf>, problems: Vec<Problem> },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NoFile { searched } => {
                let searched: Vec<String> = searched.iter().map(|path| path.display().to_string()).collect();
                write!(
                    f,
                    "no configuration: neither {} exists; name a file with --config FILE, or just a pool with --pool \
                     stratum+tcp://HOST:PORT (or SLUICE__UPSTREAM__1__URL in the environment); sluice init writes a file",
                    searched.join(" nor ")
                )
            }
            ConfigError::Unreadable { file, reason } => {
                write!(f, "cannot read the configuration {}: {}", file.display(), describe(reason))
            }
            ConfigError::Invalid { file, problems } => {
                for (i, problem) in problems.iter().enumerate() {
                    if i > 0 {
                        f.write_str("\n")?;
                    }
                    if let (Some(file), Origin::Line(_) | Origin::File) = (file, &problem.origin) {
                        write!(f, "{}: ", file.display())?;
                    }
                    write!(f, "{problem}")?;
                }
                Ok(())
            }
        }
    }
}

impl ConfigError {
    /// True if nothing is wrong with the configuration, and only a file that it names can't be read.
    pub fn is_fault_of_machine(&self) -> bool {
        let is_such = |problem: &Problem| matches!(problem.fault, ConfigFault::SecretFile { .. });
        matches!(self, ConfigError::Invalid { problems, .. } if problems.iter().all(is_such))
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        if let ConfigError::Unreadable { reason, .. } = self { Some(reason) } else { None }
    }
}

/// One fault and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub origin: Origin,
    /// The full path, such as `upstream[1].url` (the first is 1); empty for the file as a whole.
    pub key: String,
    pub fault: ConfigFault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Origin::Line(line) = self.origin {
            write!(f, "line {line}: ")?;
        }
        let is_variable = self.origin == Origin::Variable;
        let name = |key: &str| if is_variable { variable_name(key) } else { key.to_owned() };
        let key = name(&self.key);
        match &self.fault {
            ConfigFault::Syntax { reason } if is_variable => write!(f, "{key} is not valid TOML: {reason}"),
            ConfigFault::Syntax { reason } => write!(f, "not valid TOML: {reason}"),
            ConfigFault::Duplicate => write!(f, "{key} is set twice; remove one"),
            ConfigFault::UnknownKey { nearest } => {
                let kind = if is_variable { "variable" } else { "key" };
                write!(f, "unknown {kind} {key}; ")?;
                match nearest {
                    Some(nearest) => write!(f, "did you mean {}?", name(nearest)),
                    None => f.write_str("every key is listed in config.toml.example"),
                }
            }
            ConfigFault::WrongType { found, wanted } => write!(f, "{key} is {found}; it must be {wanted}"),
            ConfigFault::Value { shown, wanted } => write!(f, "{key} = {shown} must be {wanted}"),
            ConfigFault::SecretFile { shown, reason } => {
                write!(f, "{key} = {shown} can't be read: {reason}")
            }
            ConfigFault::Missing { wanted } => write!(f, "{key} is missing: {wanted}"),
            ConfigFault::Conflict { reason } => write!(f, "{key} {reason}"),
        }
    }
}

/// The place of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The first line is 1.
    Line(usize),
    /// The file as a whole: something is missing from it.
    File,
    /// An environment variable; the problem's key is the one that it sets.
    Variable,
    /// The command line; the problem's key is the flag.
    Flag,
}

/// The kind of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigFault {
    Syntax {
        reason: String,
    },
    Duplicate,
    UnknownKey {
        nearest: Option<String>,
    },
    WrongType {
        found: String,
        wanted: String,
    },
    /// A wrong value. `shown` is its printable form: `***` for a secret.
    Value {
        shown: String,
        wanted: String,
    },
    /// The file of a secret that can't be read.
    SecretFile {
        shown: String,
        reason: String,
    },
    Missing {
        wanted: String,
    },
    /// A correct value that conflicts with another setting; the reason continues after the key.
    Conflict {
        reason: String,
    },
}
