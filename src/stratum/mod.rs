//! stratum
