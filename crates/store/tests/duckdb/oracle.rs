//! DuckDB in a Python process of its own, the judge of what the catalog says.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/duckdb/attach.py");

pub(crate) struct DuckDb {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl DuckDb {
    /// Attaches the catalog of the store in `dir`. When there is no usable DuckDB, says so and returns
    /// `None`; in CI that fails the test.
    pub(crate) fn attach(test: &str, dir: &Path) -> Option<Self> {
        match Self::try_attach(dir) {
            Ok(duckdb) => Some(duckdb),
            Err(reason) => {
                println!("skipped: {test}: {reason}");
                let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
                assert!(!ci, "{test} must not be skipped in CI: {reason}");
                None
            }
        }
    }

    fn try_attach(dir: &Path) -> Result<Self, String> {
        let python = std::env::var("VERVET_DUCKDB_PYTHON")
            .map_err(|_unset| "VERVET_DUCKDB_PYTHON is not set".to_owned())?;
        let usable = Command::new(&python)
            .args([
                "-c",
                "import duckdb, duckdb_extension_ducklake, duckdb_extension_sqlite_scanner",
            ])
            .output()
            .map_err(|error| format!("{python}: {error}"))?;
        if !usable.status.success() {
            return Err(format!(
                "{python}: {}",
                String::from_utf8_lossy(&usable.stderr)
            ));
        }
        let mut child = Command::new(&python)
            .arg(SCRIPT)
            .arg(dir.join("catalog.sqlite"))
            // Relative paths in the catalog must not depend on where DuckDB runs.
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{python}: {error}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut duckdb = Self {
            child,
            input,
            output,
        };
        // From here on a failure is one of the catalog, not of the machine.
        duckdb.answer();
        Ok(duckdb)
    }

    /// The rows that `sql`, one line, returns.
    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Value> {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{sql}").unwrap();
        input.flush().unwrap();
        self.answer()
    }

    /// The one row that `sql` returns.
    pub(crate) fn row(&mut self, sql: &str) -> Value {
        let mut rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows.remove(0)
    }

    /// The one number that `sql` returns.
    pub(crate) fn number(&mut self, sql: &str) -> u64 {
        let row = self.row(sql);
        row[0].as_u64().unwrap_or_else(|| panic!("{sql}: {row}"))
    }

    fn answer(&mut self) -> Vec<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).expect("an answer from DuckDB");
        answer["rows"]
            .as_array()
            .unwrap_or_else(|| panic!("{answer}"))
            .clone()
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
