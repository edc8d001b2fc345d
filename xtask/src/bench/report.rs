//! What a bench found: the list of metrics, the budgets that judge them, the table and the JSON file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::paths;

/// A limit from `bench/budgets.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Budget {
    /// The number itself, at most.
    AtMost(f64),
    /// The number itself, at least.
    AtLeast(f64),
    /// Its ratio to the peer, at most.
    RatioAtMost(f64),
    /// Its ratio to the peer, at least.
    RatioAtLeast(f64),
}

impl Budget {
    /// Whether it is kept; nothing where it is about a ratio that nobody measured.
    fn met(self, value: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::AtMost(limit) => Some(value <= limit),
            Self::AtLeast(limit) => Some(value >= limit),
            Self::RatioAtMost(limit) => ratio.map(|ratio| ratio <= limit),
            Self::RatioAtLeast(limit) => ratio.map(|ratio| ratio >= limit),
        }
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(limit) => write!(formatter, "≤ {limit}"),
            Self::AtLeast(limit) => write!(formatter, "≥ {limit}"),
            Self::RatioAtMost(limit) => write!(formatter, "≤ {limit}×"),
            Self::RatioAtLeast(limit) => write!(formatter, "≥ {limit}×"),
        }
    }
}

/// One number, and what it is compared with.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Metric {
    #[serde(rename = "metric")]
    name: String,
    unit: &'static str,
    snapvm: f64,
    peers: BTreeMap<&'static str, f64>,
    /// Ours divided by the peer's.
    ratio: Option<f64>,
    budget: Option<Budget>,
    met: Option<bool>,
}

/// Everything that one bench found.
#[derive(Debug)]
pub(crate) struct Report {
    name: &'static str,
    budgets: BTreeMap<String, Budget>,
    metrics: Vec<Metric>,
}

impl Report {
    /// An empty report, judged by the budgets of this bench.
    pub(crate) fn new(name: &'static str) -> Result<Self> {
        let path = paths::root().join("bench/budgets.toml");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut all: BTreeMap<String, BTreeMap<String, Budget>> =
            toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
        Ok(Self { name, budgets: all.remove(name).unwrap_or_default(), metrics: Vec::new() })
    }

    /// Adds a number without a peer.
    pub(crate) fn add(&mut self, metric: impl Into<String>, unit: &'static str, value: f64) {
        self.compare(metric, unit, value, None, &[]);
    }

    /// Adds a number beside its peers' numbers; the ratio is to the peer of this name.
    pub(crate) fn compare(
        &mut self,
        metric: impl Into<String>,
        unit: &'static str,
        value: f64,
        against: Option<&str>,
        peers: &[(&'static str, f64)],
    ) {
        let metric = metric.into();
        let peers: BTreeMap<&'static str, f64> = peers.iter().copied().collect();
        let ratio = against.and_then(|name| peers.get(name)).filter(|peer| **peer > 0.0).map(|peer| value / peer);
        let budget = self.budgets.get(&metric).copied();
        let met = budget.and_then(|budget| budget.met(value, ratio));
        self.metrics.push(Metric { name: metric, unit, snapvm: value, peers, ratio, budget, met });
    }

    /// Writes `target/bench/NAME.json` and gives its path.
    pub(crate) fn write(&self) -> Result<PathBuf> {
        // Beside Cargo's default folder whatever folder this build uses: it is where people look for it.
        let folder = paths::root().join("target/bench");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(format!("{}.json", self.name));
        let text = serde_json::to_string_pretty(&self.metrics)?;
        std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The table, and which budgets were not looked at.
    pub(crate) fn table(&self) -> String {
        let mut rows = vec![["metric", "unit", "SnapVM", "peers", "ratio", "budget", ""].map(str::to_owned)];
        rows.extend(self.metrics.iter().map(|metric| {
            let peers: Vec<String> =
                metric.peers.iter().map(|(name, value)| format!("{name} {}", number(*value))).collect();
            [
                metric.name.clone(),
                metric.unit.to_owned(),
                number(metric.snapvm),
                peers.join(", "),
                metric.ratio.map(|ratio| format!("{ratio:.2}×")).unwrap_or_default(),
                metric.budget.map(|budget| budget.to_string()).unwrap_or_default(),
                metric.met.map(|met| if met { "met" } else { "MISSED" }.to_owned()).unwrap_or_default(),
            ]
        }));
        let widths: Vec<usize> = (0..7)
            .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max())
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = String::new();
        for row in &rows {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        let met = self.metrics.iter().filter(|metric| metric.met == Some(true)).count();
        let missed = self.metrics.iter().filter(|metric| metric.met == Some(false)).count();
        text.push_str(&format!("{met} budgets met, {missed} missed\n"));
        for name in self.budgets.keys().filter(|name| !self.metrics.iter().any(|metric| metric.name == **name)) {
            text.push_str(&format!("not measured: {name}\n"));
        }
        text
    }
}

fn number(value: f64) -> String {
    let decimals = if value.abs() >= 100.0 || value.fract() == 0.0 { 0 } else { 2 };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let budgets = BTreeMap::from([
            ("echo".to_owned(), Budget::AtMost(2.0)),
            ("list".to_owned(), Budget::RatioAtLeast(2.0)),
            ("bulk".to_owned(), Budget::AtLeast(40.0)),
        ]);
        Report { name: "x", budgets, metrics: Vec::new() }
    }

    #[test]
    fn budgets_judge_numbers_and_ratios() {
        let mut report = report();
        report.add("echo", "ms", 2.5);
        report.compare("list", "req/s", 700.0, Some("a"), &[("a", 350.0), ("b", 700.0)]);
        let met: Vec<Option<bool>> = report.metrics.iter().map(|metric| metric.met).collect();
        assert_eq!(met, [Some(false), Some(true)]);
        let table = report.table();
        assert!(table.contains("1 budgets met, 1 missed"), "{table}");
        assert!(table.contains("not measured: bulk"), "{table}");
    }

    #[test]
    fn the_file_of_budgets_can_be_read() {
        assert!(!Report::new("first").unwrap().budgets.is_empty());
    }
}
