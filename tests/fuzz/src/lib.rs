//! Fuzzing: what strangers, peers, operators, CAs and resolvers can send, and what must
//! hold whatever they send.
//!
//! A target is a function of bytes that ends quietly or panics. It looks for more than
//! crashes: what was read is written again and read alike, what is let through has the
//! form that was promised, an answer is no longer than it may be, an error quotes no
//! secret and not too much.
//!
//! Two drivers call the same functions. `cargo test -p fuzz` replays the corpus of each
//! and then its seeded mutations, on any toolchain. The mains in `fuzz_targets` are
//! libFuzzer's (`make fuzz`), which learns from the branches that it reaches; they follow
//! the conventions of cargo-fuzz.
//!
//! It opens no socket; `snapshot` writes a temporary file for each input.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a property that does not hold must end the run"
)]

pub mod acme;
pub mod admin;
pub mod change;
pub mod dns;
pub mod hello;
pub mod log;
pub mod proxy;
pub mod requests;
pub mod resolver;
pub mod snapshot;
pub mod token;
pub mod upload;

/// A function of bytes that panics if a promise is broken.
pub type Target = fn(&[u8]);

/// Each target under its name, which is that of its corpus and of its main.
pub const TARGETS: [(&str, Target); 12] = [
    ("acme", acme::target),
    ("admin", admin::target),
    ("change", change::target),
    ("dns", dns::target),
    ("hello", hello::target),
    ("log", log::target),
    ("proxy", proxy::target),
    ("requests", requests::target),
    ("resolver", resolver::target),
    ("snapshot", snapshot::target),
    ("token", token::target),
    ("upload", upload::target),
];

/// An error's text ends up in logs, states and terminals: it is short, and no control
/// character of somebody else's is in it.
#[track_caller]
fn is_fit_to_show(text: &str) {
    const LONGEST: usize = 2000;
    assert!(text.len() <= LONGEST, "{} bytes of an error", text.len());
    let control = text.chars().find(|c| c.is_control());
    assert_eq!(control, None, "{text:?}");
}
