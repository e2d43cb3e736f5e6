//! TLS towards clients: from the first bytes to a handshake with the right key.

pub(crate) mod alpn;
mod cache;
pub mod hello;
pub(crate) mod identity;
pub(crate) mod keys;
pub(crate) mod replay;
pub(crate) mod resolver;
pub(crate) mod server;
pub(crate) mod tickets;
pub(crate) mod turns;
