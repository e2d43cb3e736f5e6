//! What the CA can be told to do to its own records.

use serde::{Deserialize, Serialize};

use crate::book::Record;
use crate::certificate::Revocation;
use crate::core::Core;
use crate::entropy::Entropy;
use crate::moment::Moment;
use crate::problem::{Kind, Problem};
use crate::step::Step;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Makes an order without certificate invalid.
    Invalidate {
        /// Its id.
        order: String,
    },
    /// Revokes a certificate, as a CA must in an incident; its renewal window is past then.
    Revoke {
        /// Its serial number, lower-case hex.
        serial: String,
        /// A code of RFC 5280 section 5.3.1.
        reason: u8,
    },
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such thing.
    #[error("{0} does not exist at this CA")]
    Unknown(String),
    /// It is too late for it.
    #[error("{0}, so nothing was changed")]
    TooLate(String),
    /// The CA is stopping, or cannot keep its records.
    #[error("the CA is stopping, or cannot keep its records")]
    Stopped,
}

impl Core {
    /// Carries out a command; the step's records are durable before it counts.
    ///
    /// # Errors
    /// When what it is about does not exist, or is past it.
    pub fn command(
        &mut self,
        command: &Command,
        now: impl Into<Moment>,
        entropy: &mut dyn Entropy,
    ) -> Result<Step, CommandError> {
        self.possible(command)?;
        Ok(self.turn(now.into(), entropy, |core, turn| match command {
            Command::Invalidate { order } => {
                let problem = Problem::new(Kind::ServerInternal, "made invalid on command");
                core.make_invalid(order, problem, turn);
            }
            Command::Revoke { serial, reason } => {
                let Some(mut certificate) = core.book.certificates.get(serial).cloned() else {
                    return;
                };
                certificate.revoked = Some(Revocation {
                    at: turn.now,
                    reason: *reason,
                });
                core.put(Record::Certificate(certificate), turn);
            }
        }))
    }

    fn possible(&self, command: &Command) -> Result<(), CommandError> {
        match command {
            Command::Invalidate { order: id } => {
                let order = self.book.orders.get(id);
                let order =
                    order.ok_or_else(|| CommandError::Unknown(format!("the order {id:?}")))?;
                if order.has_certificate() {
                    let what = format!("the order {id:?} has its certificate");
                    return Err(CommandError::TooLate(what));
                }
            }
            Command::Revoke { serial, .. } => {
                let certificate =
                    self.book.certificates.get(serial).ok_or_else(|| {
                        CommandError::Unknown(format!("the certificate {serial:?}"))
                    })?;
                if certificate.revoked.is_some() {
                    let what = format!("the certificate {serial:?} is revoked");
                    return Err(CommandError::TooLate(what));
                }
            }
        }
        Ok(())
    }
}
