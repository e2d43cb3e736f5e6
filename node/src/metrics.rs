//! Metrics in the OpenMetrics text format, gathered from the rooms when they are
//! asked for. Names begin with `hostquorum_`.

use std::{fmt, sync::Mutex};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text::encode},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};

/// One figure, or one of a family that differ in a label.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Without the prefix, and without `_total`.
    pub name: String,
    /// What it counts, a sentence without its full stop.
    pub help: String,
    /// Only goes up.
    pub counter: bool,
    /// At most one label.
    pub label: Option<(&'static str, String)>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// A figure that goes up and down.
    pub fn gauge(name: &str, help: &str, value: f64) -> Self {
        Self {
            name: name.to_owned(),
            help: help.to_owned(),
            counter: false,
            label: None,
            value,
        }
    }

    /// A figure that only goes up.
    pub fn counter(name: &str, help: &str, value: f64) -> Self {
        Self {
            counter: true,
            ..Self::gauge(name, help, value)
        }
    }

    /// With a label. Samples of one name must follow each other.
    #[must_use]
    pub fn labelled(self, name: &'static str, value: impl Into<String>) -> Self {
        Self {
            label: Some((name, value.into())),
            ..self
        }
    }
}

type Source = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

/// Who has figures to tell.
#[derive(Default)]
pub struct Metrics {
    sources: Vec<Source>,
}

impl Metrics {
    /// Adds a room.
    pub fn add(&mut self, source: impl Fn() -> Vec<Sample> + Send + Sync + 'static) {
        self.sources.push(Box::new(source));
    }

    /// The registry's text.
    pub fn render(&self) -> String {
        let samples: Vec<Sample> = self.sources.iter().flat_map(|source| source()).collect();
        let mut registry = Registry::with_prefix("hostquorum");
        registry.register_collector(Box::new(Gathered(Mutex::new(samples))));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

#[derive(Debug)]
struct Gathered(Mutex<Vec<Sample>>);

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let samples = self.0.lock().map_err(|_| fmt::Error)?;
        for family in samples.chunk_by(|one, other| one.name == other.name) {
            let [first, ..] = family else { continue };
            let kind = if first.counter {
                MetricType::Counter
            } else {
                MetricType::Gauge
            };
            let mut descriptor = encoder.encode_descriptor(&first.name, &first.help, None, kind)?;
            if let (1, None) = (family.len(), &first.label) {
                write(first, descriptor)?;
                continue;
            }
            for sample in family {
                let labels: Vec<(&str, &str)> = sample
                    .label
                    .iter()
                    .map(|(name, value)| (*name, value.as_str()))
                    .collect();
                write(sample, descriptor.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn write(sample: &Sample, encoder: prometheus_client::encoding::MetricEncoder<'_>) -> fmt::Result {
    if sample.counter {
        ConstCounter::new(sample.value).encode(encoder)
    } else {
        ConstGauge::new(sample.value).encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_and_families_are_written() {
        let mut metrics = Metrics::default();
        metrics.add(|| {
            vec![
                Sample::gauge("leader", "1 if this node leads", 1.0),
                Sample::counter("answers", "Requests answered here", 3.0)
                    .labelled("reason", "no-origin"),
                Sample::counter("answers", "Requests answered here", 4.0)
                    .labelled("reason", "not-found"),
            ]
        });
        let text = metrics.render();
        assert_eq!(
            text,
            "# HELP hostquorum_leader 1 if this node leads\n\
             # TYPE hostquorum_leader gauge\n\
             hostquorum_leader 1.0\n\
             # HELP hostquorum_answers Requests answered here\n\
             # TYPE hostquorum_answers counter\n\
             hostquorum_answers_total{reason=\"no-origin\"} 3.0\n\
             hostquorum_answers_total{reason=\"not-found\"} 4.0\n\
             # EOF\n"
        );
    }
}
