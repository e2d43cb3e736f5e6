//! The configuration as written: reads a TOML table key by key and gathers every
//! fault with its line, so that one run tells all that is wrong. What is not read
//! is unknown, and unknown keys are faults: a misspelt limit must not be ignored.

use std::{
    collections::BTreeMap, fmt, net::SocketAddr, ops::Range, path::PathBuf, str::FromStr,
    time::Duration,
};

use backup::Recipient;
use ipnet::IpNet;
use toml_edit::{Document, Item, Table, Value};

/// Something wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Counted from 1; 0 if it is about something that is not there.
    pub line: usize,
    /// Dotted; empty if the file is no TOML.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.key.as_str()) {
            (0, "") => f.write_str(&self.message),
            (0, key) => write!(f, "{key}: {}", self.message),
            (line, "") => write!(f, "line {line}: {}", self.message),
            (line, key) => write!(f, "line {line}: {key}: {}", self.message),
        }
    }
}

/// The whole file, read section by section.
pub(crate) struct File<'a> {
    text: &'a str,
    sections: BTreeMap<String, Vec<Entry>>,
    faults: Vec<Fault>,
}

struct Entry {
    key: String,
    span: Option<Range<usize>>,
    value: Value,
    read: bool,
}

impl<'a> File<'a> {
    /// Parses the text; a file that is no TOML has one fault and nothing else.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Vec<Fault>> {
        let document = Document::parse(text).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            vec![Fault {
                line,
                key: String::new(),
                message: format!("this is not TOML: {}", error.message()),
            }]
        })?;
        let mut file = Self {
            text,
            sections: BTreeMap::new(),
            faults: Vec::new(),
        };
        file.collect("", document.as_table());
        Ok(file)
    }

    fn collect(&mut self, section: &str, table: &Table) {
        let mut entries = Vec::new();
        for (key, item) in table.iter() {
            let span = table
                .key(key)
                .and_then(toml_edit::Key::span)
                .or_else(|| item.span());
            match item {
                Item::Table(inner) if section.is_empty() => self.collect(key, inner),
                Item::Value(value) => {
                    entries.push(Entry {
                        key: key.to_owned(),
                        span,
                        value: value.clone(),
                        read: false,
                    });
                }
                Item::Table(_) | Item::ArrayOfTables(_) | Item::None => {
                    self.fault_at(span, &dotted(section, key), "a table does not belong here");
                }
            }
        }
        self.sections
            .entry(section.to_owned())
            .or_default()
            .extend(entries);
    }

    /// True if the key is written.
    pub(crate) fn present(&self, section: &str, key: &str) -> bool {
        self.sections
            .get(section)
            .is_some_and(|entries| entries.iter().any(|entry| entry.key == key))
    }

    /// The value of a key, if it is there and of the right kind.
    pub(crate) fn read<T: Written>(&mut self, section: &str, key: &str) -> Option<T> {
        let entry = self
            .sections
            .get_mut(section)?
            .iter_mut()
            .find(|entry| entry.key == key)?;
        entry.read = true;
        let span = entry.span.clone();
        match T::read(&entry.value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.fault_at(span, &dotted(section, key), &message);
                None
            }
        }
    }

    /// The value of a key within bounds, or its default.
    pub(crate) fn bounded<T>(
        &mut self,
        section: &str,
        key: &str,
        bounds: std::ops::RangeInclusive<T>,
        default: T,
    ) -> T
    where
        T: Written + PartialOrd + Shown,
    {
        let Some(value) = self.read::<T>(section, key) else {
            return default;
        };
        if bounds.contains(&value) {
            return value;
        }
        let message = format!(
            "{} is not between {} and {}",
            value.shown(),
            bounds.start().shown(),
            bounds.end().shown()
        );
        self.fault(section, key, &message);
        default
    }

    /// Adds a fault about a key that is there, or about its absence.
    pub(crate) fn fault(&mut self, section: &str, key: &str, message: &str) {
        let entry = self
            .sections
            .get(section)
            .and_then(|entries| entries.iter().find(|entry| entry.key == key));
        let span = entry.and_then(|entry| entry.span.clone());
        self.fault_at(span, &dotted(section, key), message);
    }

    fn fault_at(&mut self, span: Option<Range<usize>>, key: &str, message: &str) {
        let line = span.map_or(0, |span| line_of(self.text, span.start));
        self.faults.push(Fault {
            line,
            key: key.to_owned(),
            message: message.to_owned(),
        });
    }

    /// All faults, those of unread keys and sections among them, in the file's order.
    pub(crate) fn finish(mut self, sections: &[&str]) -> Vec<Fault> {
        let mut unknown = Vec::new();
        for (section, entries) in &self.sections {
            let known = section.is_empty() || sections.contains(&section.as_str());
            for entry in entries.iter().filter(|entry| !entry.read) {
                let message = if known {
                    "there is no such key"
                } else {
                    "there is no such section"
                };
                unknown.push((entry.span.clone(), dotted(section, &entry.key), message));
            }
        }
        for (span, key, message) in unknown {
            self.fault_at(span, &key, message);
        }
        self.faults.sort();
        self.faults
    }
}

fn dotted(section: &str, key: &str) -> String {
    if section.is_empty() {
        key.to_owned()
    } else {
        format!("{section}.{key}")
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// A kind of value that can be written in the file.
pub(crate) trait Written: Sized {
    /// The value, or what would be right.
    fn read(value: &Value) -> Result<Self, String>;
}

/// How a bound is shown in a fault.
pub(crate) trait Shown {
    /// As one would write it.
    fn shown(&self) -> String;
}

fn text(value: &Value, wanted: &str) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| {
        format!(
            "a {} stands here; {wanted} in quotes is wanted",
            value.type_name()
        )
    })
}

impl Written for String {
    fn read(value: &Value) -> Result<Self, String> {
        text(value, "a text")
    }
}

impl Written for PathBuf {
    fn read(value: &Value) -> Result<Self, String> {
        let path = text(value, "a path")?;
        if path.is_empty() {
            Err("a path must not be empty".to_owned())
        } else {
            Ok(path.into())
        }
    }
}

impl Written for SocketAddr {
    fn read(value: &Value) -> Result<Self, String> {
        let wanted = "an address and port such as \"0.0.0.0:8443\" or \"[::]:8443\"";
        let address = text(value, wanted)?;
        Self::from_str(&address).map_err(|_| format!("`{address}` is not {wanted}"))
    }
}

/// One, or a list.
impl Written for Vec<SocketAddr> {
    fn read(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(_) => SocketAddr::read(value).map(|address| vec![address]),
            Value::Array(list) => list.iter().map(SocketAddr::read).collect(),
            _ => Err(format!(
                "a {} stands here; an address and port such as \"0.0.0.0:53\", or a list of them, in quotes is wanted",
                value.type_name()
            )),
        }
    }
}

impl Written for Vec<IpNet> {
    fn read(value: &Value) -> Result<Self, String> {
        let Value::Array(list) = value else {
            return Err(format!(
                "a {} stands here; a list of networks such as [\"10.0.0.0/8\"] is wanted",
                value.type_name()
            ));
        };
        let network = |value| {
            let wanted = "an address and how many of its bits are fixed, as in \"10.0.0.0/8\"";
            let written = text(value, wanted)?;
            IpNet::from_str(&written).map_err(|_| format!("`{written}` is not {wanted}"))
        };
        list.iter().map(network).collect()
    }
}

impl Written for Vec<Recipient> {
    fn read(value: &Value) -> Result<Self, String> {
        let Value::Array(list) = value else {
            return Err(format!(
                "a {} stands here; a list of recipients such as [\"age1...\"] is wanted",
                value.type_name()
            ));
        };
        let recipient = |value| {
            let written = text(value, "a recipient such as \"age1...\"")?;
            written
                .parse::<Recipient>()
                .map_err(|error| error.to_string())
        };
        list.iter().map(recipient).collect()
    }
}

impl Written for bool {
    fn read(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| {
            format!(
                "a {} stands here; true or false is wanted",
                value.type_name()
            )
        })
    }
}

impl Written for Duration {
    fn read(value: &Value) -> Result<Self, String> {
        let wanted = "a duration such as \"250ms\", \"30s\" or \"24h\"";
        let duration = text(value, wanted)?;
        humantime::parse_duration(&duration).map_err(|_| format!("`{duration}` is not {wanted}"))
    }
}

impl Written for u64 {
    fn read(value: &Value) -> Result<Self, String> {
        let number = value
            .as_integer()
            .ok_or_else(|| format!("a {} stands here; a number is wanted", value.type_name()))?;
        Self::try_from(number).map_err(|_| format!("{number} is below zero"))
    }
}

impl Written for u16 {
    fn read(value: &Value) -> Result<Self, String> {
        let number = <u64 as Written>::read(value)?;
        Self::try_from(number).map_err(|_| format!("{number} is more than 65535"))
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Duration {
    fn shown(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}
