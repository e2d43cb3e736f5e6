//! Medians, their spread, and the tables that tell them.

use std::{fmt::Write as _, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};

use crate::{affinity::Cores, compare::Course, load::Workload};

/// All that was measured.
pub(crate) struct Report {
    /// Name and version.
    contenders: Vec<(&'static str, String)>,
    rows: Vec<Row>,
}

/// One workload: the costs of each contender, one a round.
pub(crate) struct Row {
    course: &'static Course,
    costs: Vec<Vec<f64>>,
}

/// Where tables begin and end in a document.
const BEGIN: &str = "<!-- begin: written by `make bench` -->";
const END: &str = "<!-- end: written by `make bench` -->";

impl Row {
    pub(crate) fn new(course: &'static Course, contenders: usize) -> Self {
        Self {
            course,
            costs: vec![Vec::new(); contenders],
        }
    }

    /// A contender's next turn: CPU time of a request.
    pub(crate) fn add(&mut self, contender: usize, request: Duration) {
        let cost = match self.course.workload {
            Workload::Http1 { bytes } | Workload::Http2 { bytes } if self.course.per_gigabyte => {
                request.as_secs_f64() * 1e9 / bytes as f64
            }
            _ => request.as_secs_f64() * 1e6,
        };
        self.costs[contender].push(cost);
    }

    const fn unit(&self) -> &'static str {
        if self.course.per_gigabyte {
            "s/GB"
        } else {
            "us"
        }
    }

    /// Round by round: who ran next to each other met the same machine.
    fn ratios(&self, one: usize, other: usize) -> Vec<f64> {
        let pairs = self.costs[one].iter().zip(&self.costs[other]);
        pairs.map(|(one, other)| one / other).collect()
    }
}

impl Report {
    pub(crate) const fn new(contenders: Vec<(&'static str, String)>) -> Self {
        Self {
            contenders,
            rows: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// To standard output.
    #[expect(clippy::print_stdout, reason = "it is what was asked for")]
    pub(crate) fn tell(&self, cores: Cores) -> Result<()> {
        print!("{}", self.text(cores)?);
        Ok(())
    }

    /// Replaces what stands between the marks of a document.
    pub(crate) fn write(&self, path: &Path, cores: Cores) -> Result<()> {
        let told = || path.display().to_string();
        let document = fs::read_to_string(path).with_context(told)?;
        let (before, rest) = document.split_once(BEGIN).with_context(told)?;
        let (_, after) = rest.split_once(END).with_context(told)?;
        let text = self.text(cores)?;
        fs::write(path, format!("{before}{BEGIN}\n\n{text}\n{END}{after}")).with_context(told)
    }

    fn text(&self, cores: Cores) -> Result<String> {
        let rounds = self.rows.first().map_or(0, |row| row.costs[0].len());
        let mut text = format!("{}\n", machine(cores)?);
        writeln!(
            text,
            "\nCPU time of the proxy: median of {rounds} rounds (least to most).\n"
        )?;
        let names = self.contenders.iter();
        let heads: String = names
            .map(|(name, version)| format!(" {} |", format!("{name} {version}").trim()))
            .collect();
        writeln!(text, "| workload | unit |{heads}")?;
        writeln!(
            text,
            "| --- | --- |{}",
            " --- |".repeat(self.contenders.len())
        )?;
        for row in &self.rows {
            let cells: String = row
                .costs
                .iter()
                .map(|costs| format!(" {} |", spread(costs, places(row.unit()))))
                .collect();
            writeln!(text, "| {} | {} |{cells}", row.course.what, row.unit())?;
        }
        self.ratios(&mut text)?;
        Ok(text)
    }

    fn ratios(&self, text: &mut String) -> Result<()> {
        let place = |name| self.contenders.iter().position(|(known, _)| *known == name);
        let Some(ours) = place("hostquorumd") else {
            return Ok(());
        };
        writeln!(
            text,
            "\nOurs to others, round by round: median (least to most), and what it is to be at most.\n"
        )?;
        writeln!(
            text,
            "| workload | to nginx | bar | to HAProxy | bar | to the floor |"
        )?;
        writeln!(text, "| --- | --- | --- | --- | --- | --- |")?;
        for row in &self.rows {
            let ratio = |name| {
                place(name).map_or_else(String::new, |other| spread(&row.ratios(ours, other), 2))
            };
            let bar = |name, bar: Option<f64>| match (place(name), bar) {
                (Some(other), Some(bar)) => {
                    let met = median(&row.ratios(ours, other)) <= bar;
                    format!("{bar:.2} {}", if met { "met" } else { "**missed**" })
                }
                _ => String::new(),
            };
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                row.course.what,
                ratio("nginx"),
                bar("nginx", row.course.to_nginx),
                ratio("haproxy"),
                bar("haproxy", row.course.to_haproxy),
                ratio("floor"),
            )?;
        }
        Ok(())
    }
}

fn places(unit: &str) -> usize {
    if unit == "us" { 1 } else { 2 }
}

fn spread(values: &[f64], places: usize) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!(
        "{:.places$} ({least:.places$} to {most:.places$})",
        median(values)
    )
}

/// Of at least one value.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        (sorted[middle - 1] + sorted[middle]) / 2.0
    } else {
        sorted[middle]
    }
}

/// When, on what, and how busy it was.
fn machine(cores: Cores) -> Result<String> {
    let date = Command::new("date")
        .args(["-u", "+%Y-%m-%d %H:%M UTC"])
        .output()?;
    let date = String::from_utf8_lossy(&date.stdout).trim().to_owned();
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let mut models = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name"));
    let model = models.next().unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let count = 1 + models.count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!(
        "{date}; {count} cores of {model}, Linux {}; load average {load}; the proxy on core {}, \
         clients and origin on core {}.",
        kernel.trim(),
        cores.proxy,
        cores.others
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_told_with_its_spread() {
        assert_eq!(spread(&[3.0, 1.0, 2.0], 1), "2.0 (1.0 to 3.0)");
        assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0], 1), "2.5 (1.0 to 4.0)");
    }
}
