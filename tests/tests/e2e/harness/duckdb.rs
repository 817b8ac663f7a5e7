//! DuckDB in a Python process of its own, attached to a catalog read-only.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

pub(crate) struct DuckDb {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl DuckDb {
    /// Attaches the catalog in `data_dir`, or says what the machine lacks.
    pub(crate) fn attach(data_dir: &Path) -> Result<Self, String> {
        let python =
            super::python("duckdb, duckdb_extension_ducklake, duckdb_extension_sqlite_scanner")?;
        let mut child = Command::new(python)
            .arg(super::tests_dir("duckdb/query.py"))
            .arg(data_dir.join("catalog.sqlite"))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Ok(Self {
            child,
            input,
            output,
        })
    }

    /// The one number that a statement of one line gives.
    pub(crate) fn number(&mut self, sql: &str) -> u64 {
        writeln!(self.input.as_mut().unwrap(), "{sql}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).expect("an answer from DuckDB");
        answer[0][0]
            .as_u64()
            .unwrap_or_else(|| panic!("{sql}: {answer}"))
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // It ends with its input.
        self.input = None;
        let _ended = self.child.wait();
    }
}
