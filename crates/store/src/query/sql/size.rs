//! How large a statement is once every reference to a `WITH` query is replaced by that query, before it is planned: a plan
//! is a tree, so a few hundred bytes of text can name a thousand million scans.
//!
//! Limits: [`TABLES_MAX`] tables, [`SELECTS_MAX`] selects, [`GROUPINGS_BITS_MAX`]. Recursive queries are refused.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Select, Visit, Visitor};

use crate::StoreError;

/// Tables read, each as often as it is.
const TABLES_MAX: u64 = 64;
/// Selects, each as often as it runs.
const SELECTS_MAX: u64 = 1_000;
/// Combinations of `CUBE`, `ROLLUP` and `GROUPING SETS`: two to the power of this.
const GROUPINGS_BITS_MAX: u64 = 6;

/// # Errors
/// [`StoreError::QueryTooLarge`]; [`StoreError::Invalid`] for recursive queries and for what does not only read.
pub(super) fn check(statement: &Statement) -> Result<(), StoreError> {
    let statement = match statement {
        Statement::Statement(statement) => statement,
        Statement::Explain(explain) => return check(&explain.statement),
        _ => {
            return Err(invalid(
                "only SELECT, EXPLAIN, SHOW and DESCRIBE are answered",
            ));
        }
    };
    let mut walk = Walk {
        scopes: vec![Scope::default()],
        grouping_bits: 0,
    };
    if let ControlFlow::Break(error) = statement.visit(&mut walk) {
        return Err(error);
    }
    walk.within_limits()
}

fn invalid(reason: &str) -> StoreError {
    StoreError::Invalid {
        reason: reason.to_owned(),
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    tables: u64,
    selects: u64,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.tables = self.tables.saturating_add(other.tables);
        self.selects = self.selects.saturating_add(other.selects);
    }
}

/// What one query names and how large it is so far.
#[derive(Default)]
struct Scope {
    size: Size,
    /// The queries of its `WITH` that have been walked, by name in lower case.
    named: HashMap<String, Size>,
    /// Those that have not, by where they are in the statement.
    coming: Vec<(*const Query, String)>,
}

struct Walk {
    scopes: Vec<Scope>,
    grouping_bits: u64,
}

impl Walk {
    fn within_limits(&self) -> Result<(), StoreError> {
        let size = self
            .scopes
            .last()
            .map(|scope| scope.size)
            .unwrap_or_default();
        for (what, value, limit) in [
            (
                "tables, those of WITH queries each time they are named",
                size.tables,
                TABLES_MAX,
            ),
            (
                "selects, those of WITH queries each time they are named",
                size.selects,
                SELECTS_MAX,
            ),
            (
                "combinations of groupings",
                self.grouping_bits,
                GROUPINGS_BITS_MAX,
            ),
        ] {
            if value > limit {
                let limit = match what {
                    "combinations of groupings" => 1 << GROUPINGS_BITS_MAX,
                    _ => limit,
                };
                return Err(StoreError::QueryTooLarge { what, limit });
            }
        }
        Ok(())
    }

    fn or_break(&self) -> ControlFlow<StoreError> {
        match self.within_limits() {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Visitor for Walk {
    type Break = StoreError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<StoreError> {
        let mut scope = Scope::default();
        if let Some(with) = &query.with {
            if with.recursive {
                return ControlFlow::Break(invalid("WITH RECURSIVE is not answered"));
            }
            let coming = with.cte_tables.iter().map(|cte| {
                let name = cte.alias.name.value.to_lowercase();
                (std::ptr::from_ref(cte.query.as_ref()), name)
            });
            scope.coming = coming.collect();
        }
        self.scopes.push(scope);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<StoreError> {
        let Some(done) = self.scopes.pop() else {
            return ControlFlow::Continue(());
        };
        if let Some(outer) = self.scopes.last_mut() {
            // A query of WITH is planned once for itself, and again wherever it is named.
            outer.size.add(done.size);
            let named = outer
                .coming
                .iter()
                .find(|(place, _)| std::ptr::eq(*place, query));
            if let Some((_, name)) = named {
                let before = outer.named.entry(name.clone()).or_default();
                before.add(done.size);
            }
        }
        self.or_break()
    }

    fn pre_visit_select(&mut self, _select: &Select) -> ControlFlow<StoreError> {
        if let Some(scope) = self.scopes.last_mut() {
            scope.size.selects = scope.size.selects.saturating_add(1);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<StoreError> {
        let name = relation.to_string().replace(['"', '`'], "").to_lowercase();
        let named = self
            .scopes
            .iter()
            .rev()
            .find_map(|scope| scope.named.get(&name));
        let size = named.copied().unwrap_or(Size {
            tables: 1,
            selects: 0,
        });
        if let Some(scope) = self.scopes.last_mut() {
            scope.size.add(size);
        }
        self.or_break()
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<StoreError> {
        let bits = match expr {
            Expr::Cube(sets) => sets.len() as u64,
            Expr::Rollup(sets) => u64::from((sets.len() + 1).next_power_of_two().ilog2()),
            Expr::GroupingSets(sets) => u64::from(sets.len().next_power_of_two().ilog2()),
            _ => 0,
        };
        self.grouping_bits = self.grouping_bits.saturating_add(bits);
        self.or_break()
    }
}

#[cfg(test)]
mod tests;
