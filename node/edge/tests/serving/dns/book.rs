//! What a DNS server under test answers from.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use ::edge::dns::{Answers, Caa, Name, Nameserver, Settings, Zones};

/// Hostnames' labels with their values, one tenant, and whether it is behind.
pub(crate) struct Book {
    zones: Arc<Zones>,
    challenges: Mutex<BTreeMap<String, Vec<String>>>,
    behind: AtomicBool,
}

impl Book {
    pub(crate) fn new() -> Self {
        let name = |text: &str| Name::parse(text).unwrap();
        let server = |text: &str| Nameserver {
            name: name(text),
            addresses: vec!["127.0.0.1".parse().unwrap()],
        };
        let settings = Settings {
            challenges: Some(name("acme.edge.example")),
            targets: Some(name("edge.example")),
            nameservers: vec![
                server("ns1.in.edge.example"),
                server("ns2.acme.edge.example"),
            ],
            addresses: vec![
                "192.0.2.80".parse().unwrap(),
                "2001:db8::80".parse().unwrap(),
            ],
            caa: vec![Caa {
                critical: false,
                tag: "issue".to_owned(),
                value: "ca.example; accounturi=https://ca.example/acct/1".to_owned(),
            }],
        };
        Self {
            zones: Arc::new(Zones::new(settings)),
            challenges: Mutex::default(),
            behind: AtomicBool::new(false),
        }
    }

    /// Gives a label `count` values.
    pub(crate) fn place(&self, label: &str, count: usize) -> Vec<String> {
        let values: Vec<String> = (0..count).map(|n| format!("{label}-{n:0>40}")).collect();
        let mut challenges = self.challenges.lock().unwrap();
        challenges.insert(label.to_owned(), values.clone());
        values
    }

    pub(crate) fn fall_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Relaxed);
    }
}

impl Answers for Book {
    fn zones(&self) -> Arc<Zones> {
        Arc::clone(&self.zones)
    }

    fn challenge(&self, label: &str) -> Option<Vec<String>> {
        self.challenges.lock().unwrap().get(label).cloned()
    }

    fn is_target(&self, label: &str) -> bool {
        label == "tenant"
    }

    fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Relaxed)
    }

    fn serial(&self) -> u32 {
        7
    }
}
