//! The edge as its clients and origins see it: real sockets, real TLS, and a
//! cluster of one replica behind it.

#![expect(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod challenges;
mod crowds;
mod dns;
mod drain;
mod forwarding;
mod fronts;
mod listeners;
mod observation;
mod on_demand;
mod origin;
mod origins;
mod parts;
mod pending;
mod resumption;
mod rig;
mod startup;
mod strictness;
mod timeouts;
mod tls;
mod traffic;
mod validation;
mod websocket;
