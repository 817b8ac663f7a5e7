//! Below operators that keep what they read without asking for memory (windows): every batch is taken from the memory of
//! the query until the operator ends. Above operators that make many rows of few and do not yield (joins): they end at the
//! query's deadline.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode as _, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr,
    PlanProperties, ReplaceChildrenOptions,
};
use futures::TryStreamExt as _;
use tokio::time::Instant;

/// Nobody reads it: the caller has been told by then.
const PAST_DEADLINE: &str = "the query did not finish in time";

/// `plan` with every window charged for what it reads, and every join ending at `deadline`.
pub(super) fn metered(
    plan: Arc<dyn ExecutionPlan>,
    deadline: Instant,
) -> Result<Arc<dyn ExecutionPlan>> {
    let metered = plan.transform_up(|node| {
        if node.name().ends_with("JoinExec") {
            let held = Metered {
                input: node,
                meter: Meter::Deadline(deadline),
            };
            return Ok(Transformed::yes(Arc::new(held)));
        }
        if !matches!(node.name(), "WindowAggExec" | "BoundedWindowAggExec") {
            return Ok(Transformed::no(node));
        }
        let children = node.children().into_iter().map(|child| {
            let input = Arc::clone(child);
            Arc::new(Metered {
                input,
                meter: Meter::Memory,
            }) as Arc<dyn ExecutionPlan>
        });
        let children = children.collect();
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        node.replace_children(children, options)
            .map(Transformed::yes)
    })?;
    Ok(metered.data)
}

#[derive(Debug, Clone, Copy)]
enum Meter {
    Memory,
    Deadline(Instant),
}

#[derive(Debug)]
struct Metered {
    input: Arc<dyn ExecutionPlan>,
    meter: Meter,
}

impl DisplayAs for Metered {
    fn fmt_as(&self, _form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metered")
    }
}

impl ExecutionPlan for Metered {
    fn name(&self) -> &'static str {
        "Metered"
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _look: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children
            .into_iter()
            .next()
            .ok_or_else(|| DataFusionError::Internal("an input is expected".to_owned()))?;
        Ok(Arc::new(Self {
            input,
            meter: self.meter,
        }))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let meter = self.meter;
        let reservation = MemoryConsumer::new("rows of a window").register(context.memory_pool());
        let input = self.input.execute(partition, context)?;
        let rows = input.and_then(move |batch| {
            let goes_on = match meter {
                Meter::Memory => reservation.try_grow(batch.get_array_memory_size()),
                Meter::Deadline(deadline) if Instant::now() < deadline => Ok(()),
                Meter::Deadline(_) => Err(DataFusionError::Execution(PAST_DEADLINE.to_owned())),
            };
            std::future::ready(goes_on.map(|()| batch))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
