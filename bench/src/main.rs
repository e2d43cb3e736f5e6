//! Measures the edge beside the proxies that people run today.
//!
//! `bench compare` starts ours and its peers on loopback, each pinned to one core, sends
//! them the same requests from another, checks every answer, and tells the CPU time that
//! each took: not requests a second, which a busy machine makes up. This program is also
//! the origin, the clients, and the floor: a bare proxy of the same libraries without any
//! feature, below which no feature can be.
//!
//! It measures production programs from outside and contains no copy of them.

mod affinity;
mod certificates;
mod compare;
mod cpu;
mod floor;
mod load;
mod origin;
mod report;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

// The floor is what a bare proxy can be, so it has the allocator that ours has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures the edge beside its peers.
#[derive(Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Ours, nginx, HAProxy and the floor in one run, taking turns.
    Compare(compare::Options),
    /// The bare proxy that the others are held against. Started by `compare`.
    Floor(floor::Options),
}

#[expect(clippy::print_stderr, reason = "told to the person at the terminal")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Fails only if it is called twice.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let done = match arguments.command {
        Command::Compare(options) => compare::run(&options),
        Command::Floor(options) => floor::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
