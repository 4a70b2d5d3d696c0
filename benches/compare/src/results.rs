//! What has been measured.

/// Everything, in the order in which it was asked for.
#[derive(Debug, Default)]
pub struct Results {
    pub series: Vec<Series>,
    pub gaps: Vec<Gap>,
}

/// All figures of one unit from one system in one case.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub bench: &'static str,
    pub params: String,
    pub system: &'static str,
    pub unit: String,
    pub values: Vec<f64>,
}

/// A figure that there is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    pub bench: &'static str,
    pub params: String,
    pub system: &'static str,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// The system has no such thing.
    NoEqual(String),
    /// It should have had a figure.
    Failed(String),
}

impl Results {
    pub fn add(
        &mut self,
        bench: &'static str,
        params: &str,
        system: &'static str,
        unit: &str,
        value: f64,
    ) {
        let found = self.series.iter_mut().find(|series| {
            (series.bench, &*series.params, series.system, &*series.unit)
                == (bench, params, system, unit)
        });
        match found {
            Some(series) => series.values.push(value),
            None => self.series.push(Series {
                bench,
                params: params.to_owned(),
                system,
                unit: unit.to_owned(),
                values: vec![value],
            }),
        }
    }

    pub fn of_bench<'a>(&'a self, bench: &'a str) -> impl Iterator<Item = &'a Series> {
        self.series.iter().filter(move |series| series.bench == bench)
    }

    pub fn failures(&self) -> usize {
        self.gaps.iter().filter(|gap| matches!(gap.why, Why::Failed(_))).count()
    }

    /// The groups of series that can be compared with each other, the best first.
    pub fn panels<'a>(&'a self, bench: &'a str) -> Vec<Vec<&'a Series>> {
        let mut panels: Vec<Vec<&Series>> = Vec::new();
        for series in self.of_bench(bench) {
            match panels.iter_mut().find(|panel| panel[0].is_comparable(series)) {
                Some(panel) => panel.push(series),
                None => panels.push(vec![series]),
            }
        }
        for panel in &mut panels {
            panel.sort_by(|a, b| a.cost().total_cmp(&b.cost()));
        }
        panels
    }
}

impl Series {
    fn is_comparable(&self, other: &Self) -> bool {
        (self.bench, &self.params, &self.unit) == (other.bench, &other.params, &other.unit)
    }

    /// The middle one; of an even number, the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        }
    }

    pub fn min(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub fn max(&self) -> f64 {
        self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// From the least to the greatest, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.max() - self.min()) / self.median()
    }

    /// A number that is less if the system is better.
    pub fn cost(&self) -> f64 {
        match &*self.unit {
            "speedup" => 1.0 / self.median(),
            _ => self.median(),
        }
    }

    pub fn is_lisle(&self) -> bool {
        self.system.starts_with("lisle")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f64]) -> Series {
        let mut results = Results::default();
        for &value in values {
            results.add("yield", "tasks=2", "go", "ns", value);
        }
        assert_eq!(results.series.len(), 1);
        results.series.remove(0)
    }

    #[test]
    fn statistics() {
        let odd = series(&[3.0, 1.0, 8.0]);
        assert_eq!((odd.median(), odd.min(), odd.max()), (3.0, 1.0, 8.0));
        let even = series(&[4.0, 1.0, 2.0, 8.0]);
        assert_eq!((even.median(), even.min(), even.max()), (3.0, 1.0, 8.0));
        assert_eq!(even.spread(), 7.0 / 3.0);
        assert_eq!(series(&[5.0]).median(), 5.0);
    }

    #[test]
    fn panels_hold_what_can_be_compared() {
        let mut results = Results::default();
        results.add("forkjoin", "", "go", "ms", 9.0);
        results.add("forkjoin", "", "go", "speedup", 1.5);
        results.add("forkjoin", "", "lisle", "ms", 8.0);
        results.add("forkjoin", "", "lisle", "speedup", 1.9);
        let panels = results.panels("forkjoin");
        let names: Vec<Vec<_>> = panels
            .iter()
            .map(|panel| panel.iter().map(|series| (series.system, &*series.unit)).collect())
            .collect();
        assert_eq!(names[0], [("lisle", "ms"), ("go", "ms")]);
        assert_eq!(names[1], [("lisle", "speedup"), ("go", "speedup")]);
    }

    #[test]
    fn only_failures_count_as_such() {
        let gap = |why| Gap { bench: "select", params: String::new(), system: "may", why };
        let gaps = vec![gap(Why::NoEqual("why".into())), gap(Why::Failed("how".into()))];
        assert_eq!(Results { gaps, ..Results::default() }.failures(), 1);
    }
}
