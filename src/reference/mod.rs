//! `[[reference]]`: other views of the chain, to compare the pool's jobs with. Nobody mines on them.

mod tip;

pub use tip::Tip;
