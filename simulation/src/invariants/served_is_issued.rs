//! No node serves what the CA did not issue for that name (I3, I9).

use std::collections::{BTreeMap, BTreeSet};

use state::CertificateId;

use super::Invariant;
use crate::deed::Deed;
use crate::events::{Event, What};
use crate::oracle::Oracle;

/// What was issued, by serial number, and which certificates were looked at.
#[derive(Debug, Default)]
pub(super) struct ServedIsIssued {
    issued: BTreeMap<String, Vec<String>>,
    seen: BTreeSet<CertificateId>,
}

fn bare(serial: &str) -> String {
    serial.trim_start_matches('0').to_owned()
}

impl Invariant for ServedIsIssued {
    fn name(&self) -> &'static str {
        "what is served was issued"
    }

    fn check(&mut self, event: &Event, _oracle: &Oracle) -> Result<(), String> {
        match &event.what {
            What::Ca(Deed::Issued { serial, names, .. }) => {
                self.issued.insert(bare(serial), names.clone());
            }
            What::Applied { node, state, .. } => {
                for (hostname, record) in state.hostnames() {
                    let certificate = record.certificate.and_then(|id| state.certificate(&id));
                    let Some(certificate) = certificate.filter(|it| self.seen.insert(it.id)) else {
                        continue;
                    };
                    let names = self.issued.get(&bare(&certificate.serial_hex()));
                    if names.is_none_or(|names| names != &[hostname.as_str()]) {
                        return Err(format!(
                            "node {node} serves {} at {hostname}, issued for {names:?}",
                            certificate.serial_hex()
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ServedIsIssued;
    use crate::deed::Deed;
    use crate::events::What;
    use crate::invariants::sample::{applied, check, served, violates};

    fn issued(serial: &str, name: &str) -> What {
        What::Ca(Deed::Issued {
            serial: serial.into(),
            order: "o".into(),
            names: vec![name.into()],
            not_after: 0,
        })
    }

    #[test]
    fn a_certificate_from_nowhere_or_for_another_is_seen() {
        let (serial, state) = served("a.example");
        let serves = applied(1, &state);
        let (right, wrong) = (issued(&serial, "a.example"), issued(&serial, "b.example"));
        check(ServedIsIssued::default(), vec![right, serves.clone()]).unwrap();
        violates(
            ServedIsIssued::default(),
            vec![wrong, serves.clone()],
            "issued for",
        );
        violates(ServedIsIssued::default(), vec![serves], "issued for None");
    }
}
