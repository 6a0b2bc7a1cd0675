//! The plots of the page, as SVG.
//!
//! Plotters draws them in marker colours, which are then replaced by the page's variables: so they follow light and dark,
//! and a printer gets the light ones.

mod canvas;
mod delays;
mod heat;
mod lanes;
mod luck;
mod over_time;

pub(super) use canvas::PlotFigure;
pub(super) use delays::{answer_times, job_ages};
pub(super) use heat::hours;
pub(super) use lanes::time_line;
pub(super) use luck::{best_over_time, share_difficulties};
pub(super) use over_time::{hash_rate, shares_by_result};
