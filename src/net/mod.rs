//! net
pub mod proxy_protocol;
