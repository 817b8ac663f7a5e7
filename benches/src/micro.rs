//! The results that criterion keeps: `GROUP/FUNCTION/new/{benchmark,estimates}.json` in its folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

use crate::report::Figure;

const MIB: f64 = 1_048_576.0;

/// The throughput of each micro bench, by name.
///
/// # Errors
/// The folder cannot be read, or a result in it is not what criterion writes.
pub fn figures(criterion_dir: &Path) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for group in subfolders(criterion_dir)? {
        for function in subfolders(&group)? {
            let results = function.join("new");
            if results.join("benchmark.json").is_file() {
                figures.push(figure(&results)?);
            }
        }
    }
    Ok(figures)
}

fn subfolders(dir: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    let mut folders: Vec<PathBuf> = paths.into_iter().filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}

fn figure(results: &Path) -> anyhow::Result<Figure> {
    let benchmark = read(&results.join("benchmark.json"))?;
    let estimates = read(&results.join("estimates.json"))?;
    let wrong = || format!("unknown form of result in {}", results.display());
    let name = benchmark["full_id"].as_str().with_context(wrong)?;
    // Criterion prints the slope where it has one.
    let nanos = [&estimates["slope"], &estimates["mean"]]
        .into_iter()
        .find_map(|estimate| estimate["point_estimate"].as_f64())
        .with_context(wrong)?;
    let per_second = |amount: f64| amount / nanos * 1e9;
    let throughput = &benchmark["throughput"];
    let elements = throughput["Elements"].as_f64();
    let bytes = throughput["Bytes"].as_f64();
    Ok(match (elements, bytes) {
        (Some(elements), _) => Figure::new(name, per_second(elements), "rows/s"),
        (None, Some(bytes)) => Figure::new(name, per_second(bytes) / MIB, "MiB/s"),
        (None, None) => Figure::new(name, nanos / 1e6, "ms"),
    })
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_becomes_a_rate() {
        let dir = tempfile::tempdir().expect("a folder");
        let results = dir.path().join("wire/logs/new");
        std::fs::create_dir_all(&results).expect("a folder");
        let write =
            |name: &str, text: &str| std::fs::write(results.join(name), text).expect("written");
        write(
            "benchmark.json",
            r#"{"full_id": "wire/logs", "throughput": {"Elements": 1000}}"#,
        );
        write(
            "estimates.json",
            r#"{"mean": {"point_estimate": 500000.0}, "slope": null}"#,
        );
        let figures = figures(dir.path()).expect("read");
        assert_eq!(figures, [Figure::new("wire/logs", 2e6, "rows/s")]);
    }
}
