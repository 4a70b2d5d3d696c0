//! The results for other programs.

use std::fmt::Write;

use crate::results::Results;

/// A line for each series, after one with the names of the columns. No field contains a comma.
pub fn rows(results: &Results) -> String {
    let mut text = "bench,system,params,unit,median,min,max,runs\n".to_owned();
    for series in &results.series {
        let (bench, system) = (series.bench, series.system);
        let (params, unit) = (&series.params, &series.unit);
        let (median, min, max) = (series.median(), series.min(), series.max());
        let runs = series.values.len();
        writeln!(text, "{bench},{system},{params},{unit},{median:.3},{min:.3},{max:.3},{runs}")
            .expect("a string can be written to");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_for_each_series() {
        let mut results = Results::default();
        for value in [63.1, 60.0, 70.5] {
            results.add("yield", "workers=2;tasks=1000", "may", "ns", value);
        }
        results.add("idle", "workers=1;tasks=100000", "lisle-64k", "bytes", 4425.0);
        assert_eq!(
            rows(&results),
            "bench,system,params,unit,median,min,max,runs\n\
             yield,may,workers=2;tasks=1000,ns,63.100,60.000,70.500,3\n\
             idle,lisle-64k,workers=1;tasks=100000,bytes,4425.000,4425.000,4425.000,1\n"
        );
    }
}
