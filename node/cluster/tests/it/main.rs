//! The cluster crate over real loopback sockets, with a state that agrees with
//! itself at once in place of Raft.

mod admin;
mod joining;
mod links;
mod rest;
mod serving;
mod support;
