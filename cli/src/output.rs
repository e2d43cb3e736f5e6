//! How answers are shown: as a table for people, as JSON or YAML for programs.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use serde::Serialize;

use crate::arguments::Format;

/// Something that can be shown. Its serialization is its shape for programs: a
/// field's name and meaning never change, new fields may come.
pub(crate) trait Shape: Serialize {
    /// For people.
    fn table(&self) -> String;

    /// For DNS servers; absent if it is no DNS records.
    fn zone(&self) -> Option<String> {
        None
    }
}

/// Where answers go.
pub(crate) struct Output {
    format: Format,
    sink: Box<dyn Write>,
}

impl Output {
    pub(crate) fn new(format: Format, sink: Box<dyn Write>) -> Self {
        Self { format, sink }
    }

    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// The one answer of a command.
    pub(crate) fn show(&mut self, shape: &impl Shape) -> io::Result<()> {
        let text = match self.format {
            Format::Table => ended(shape.table()),
            Format::Zone => ended(shape.zone().unwrap_or_else(|| shape.table())),
            Format::Json => ended(serde_json::to_string_pretty(shape)?),
            Format::Yaml => serde_norway::to_string(shape).map_err(io::Error::other)?,
        };
        self.write(&text)
    }

    /// One of many answers: a line of JSON, or a document of YAML.
    pub(crate) fn show_next(&mut self, shape: &impl Shape) -> io::Result<()> {
        let text = match self.format {
            Format::Table | Format::Zone => ended(shape.table()),
            Format::Json => ended(serde_json::to_string(shape)?),
            Format::Yaml => {
                let document = serde_norway::to_string(shape).map_err(io::Error::other)?;
                format!("---\n{document}")
            }
        };
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.sink.write_all(text.as_bytes())?;
        self.sink.flush()
    }
}

/// Something beside the answer, for people: on standard error, so that the answer
/// stays fit for programs.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell if that fails.
    let _unheard = writeln!(io::stderr(), "{text}");
}

fn ended(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Rows under a header.
pub(crate) fn rows(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = plain();
    table.set_header(header.iter().map(|title| title.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| cell_text(cell)));
    }
    shown(table)
}

/// A name and a value a line; empty values are left out.
pub(crate) fn pairs(pairs: Vec<(&str, String)>) -> String {
    let mut table = plain();
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([format!("{name}:"), cell_text(&value)]);
    }
    shown(table)
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn shown(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

fn cell_text(text: &str) -> String {
    let text = clean(text);
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// Without control characters: what a server says must not steer the terminal.
/// Line breaks become spaces.
pub(crate) fn clean(text: &str) -> String {
    let spaced = text.replace("\r\n", " ").replace(['\n', '\t'], " ");
    spaced.chars().filter(|c| !c.is_control()).collect()
}
