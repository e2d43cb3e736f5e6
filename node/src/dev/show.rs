//! What a person sees of the tour.

use std::{collections::BTreeMap, fmt::Write as _, io::IsTerminal as _};

use anyhow::Result;
use proto::admin::v1::{Hostname, HostnameState};

use super::{say, world::World};

/// A table that is drawn anew whenever a row changes: in place on a terminal,
/// else row by row.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: BTreeMap<String, String>,
    drawn: usize,
}

impl Table {
    pub(crate) fn show(&mut self, hostnames: &[Hostname]) -> Result<()> {
        let mut changed = Vec::new();
        for hostname in hostnames {
            let row = row(hostname);
            if self.rows.get(&hostname.name) != Some(&row) {
                changed.push(row.clone());
                self.rows.insert(hostname.name.clone(), row);
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        if !std::io::stdout().is_terminal() {
            let head = if self.drawn == 0 {
                header()
            } else {
                String::new()
            };
            self.drawn = 1;
            return say(&format!("{head}{}", changed.concat()));
        }
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to the first row, and clear from there on.
            let _ = write!(text, "\x1b[{}A\x1b[J", self.drawn);
        }
        text.push_str(&header());
        for row in self.rows.values() {
            text.push_str(row);
        }
        self.drawn = self.rows.len() + 1;
        say(&text)
    }
}

fn header() -> String {
    line(
        "HOSTNAME",
        "STATE",
        "SERIAL",
        "ISSUER",
        "NOT AFTER",
        "SERVED BY",
    )
}

fn row(hostname: &Hostname) -> String {
    let name = hostname.name.trim_start_matches("hostnames/");
    let state = state_name(hostname);
    let state = match &hostname.order {
        Some(order) => format!("{state}: {}", order.stage),
        None => state.to_owned(),
    };
    let serving: Vec<&str> = hostname
        .serving
        .iter()
        .filter(|node| node.current)
        .map(|node| node.node_name.as_str())
        .collect();
    match &hostname.certificate {
        Some(certificate) => {
            let serial: String = certificate.serial.chars().take(16).collect();
            let not_after = certificate
                .not_after
                .map(|at| at.to_string())
                .unwrap_or_default();
            let not_after = not_after.get(..16).unwrap_or_default().replace('T', " ");
            line(
                name,
                &state,
                &serial,
                &certificate.issuer,
                &not_after,
                &serving.join(" "),
            )
        }
        None => line(name, &state, "-", "-", "-", "-"),
    }
}

fn line(
    name: &str,
    state: &str,
    serial: &str,
    issuer: &str,
    not_after: &str,
    serving: &str,
) -> String {
    format!("{name:<28} {state:<24} {serial:<17} {issuer:<36} {not_after:<17} {serving}\n")
}

fn state_name(hostname: &Hostname) -> &'static str {
    match hostname.state() {
        HostnameState::Unspecified => "unknown",
        HostnameState::Pending => "pending",
        HostnameState::Issuing => "issuing",
        HostnameState::Live => "live",
        HostnameState::Renewing => "renewing",
        HostnameState::Failed => "failed",
        HostnameState::Unproven => "unproven",
        HostnameState::Parked => "parked",
    }
}

/// True if it has a certificate.
pub(crate) fn is_live(hostname: &Hostname) -> bool {
    matches!(
        hostname.state(),
        HostnameState::Live | HostnameState::Renewing
    )
}

/// True if this is `name`, live, and `nodes` nodes serve it as it is now.
pub(crate) fn is_served(hostname: &Hostname, name: &str, nodes: usize) -> bool {
    hostname.name.strip_prefix("hostnames/") == Some(name)
        && is_live(hostname)
        && hostname.serving.iter().filter(|node| node.current).count() >= nodes
}

/// What can be tried now.
pub(crate) fn farewell(world: &World, hostnames: &[&str]) -> String {
    let mut text = String::from("\nTry each node:\n");
    let root = world.ca_root().display().to_string();
    for (number, node) in world.nodes().enumerate() {
        let name = hostnames[number % hostnames.len()];
        let port = node.ports.https;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  curl --cacert {root} --resolve {name}:{port}:{} https://{name}:{port}/",
            node.ip
        );
    }
    let context = world.context_file().display().to_string();
    let admin: Vec<String> = world.nodes().map(|node| node.admin().to_string()).collect();
    let health = world
        .nodes()
        .next()
        .map(|node| node.health().to_string())
        .unwrap_or_default();
    let _ = write!(
        text,
        "\nAdmin API   {}\n\
         CLI         HOSTQUORUM_CONTEXT={context} hostquorum cluster status\n\
         Metrics     curl http://{health}/metrics\n\
         Data        {}\n\n\
         Ctrl-C drains and ends. Run it again: the same certificates, no order.\n",
        admin.join("  "),
        world.data().display(),
    );
    text
}
