//! `sluice report`: what the records say about a week, or any other time.
//!
//! All files are read once, one after the other, in constant memory: rows go into bounded tallies and are forgotten.
//! Everything that is shown (text, JSON, page) comes from one [`Report`], so that all three say the same.
//!
//! Names and texts in the files are strangers': they are escaped wherever they are shown.

mod absences;
mod comparisons;
mod document;
mod export;
mod fields;
mod figures;
mod findings;
mod histogram;
mod input;
mod job_line;
mod jobs_seen;
mod layout;
mod luck;
mod page;
mod plots;
mod reading;
mod records;
mod rows;
mod selection;
mod series;
mod share_line;
mod statistics;
mod tally;
mod text;
mod text_lines;
mod time_line;

pub use document::{Report, ReportError};
pub use export::TypedExport;
pub use input::is_record;
pub use page::report_page;
pub use reading::OnProgress;
pub use selection::{ReportSelection, parse_report_time};
pub use text::ReportPrinter;
