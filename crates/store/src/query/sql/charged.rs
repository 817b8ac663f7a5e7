//! Functions whose results may be larger than their arguments, charged to the memory of their query.
//!
//! Before such a function runs, twice the largest result it could have is taken from the query's pool; afterwards what it
//! has made stays taken for as long as somebody holds it. What does not fit is an error before it is made.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use parking_lot::Mutex;

mod growth;
mod join;

pub(super) use growth::Growth;
pub(super) use join::JoinPlanner;

/// Constants up to this size are not charged (bytes): a statement has few, and they are never given back.
const SMALL_CONSTANT_BYTES: usize = 1 << 10;

/// What the functions of one query have made and somebody still holds.
pub(in super::super) struct Charge {
    made: Mutex<Made>,
}

struct Made {
    reservation: MemoryReservation,
    arrays: Vec<(Weak<dyn Array>, usize)>,
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Charge").finish_non_exhaustive()
    }
}

impl Charge {
    pub(in super::super) fn new(pool: &Arc<dyn MemoryPool>) -> Arc<Self> {
        Arc::new(Self {
            made: Mutex::new(Made {
                reservation: MemoryConsumer::new("results of functions").register(pool),
                arrays: Vec::new(),
            }),
        })
    }

    /// Runs `make` with room for a result of `bytes_max`.
    fn run(
        &self,
        bytes_max: usize,
        make: impl FnOnce() -> Result<ColumnarValue>,
    ) -> Result<ColumnarValue> {
        // What a result is put together in grows by doubling.
        let room = bytes_max.saturating_mul(2);
        {
            let mut made = self.made.lock();
            made.forget_dropped();
            made.reservation.try_grow(room)?;
        }
        let result = make();
        let mut made = self.made.lock();
        let kept = match &result {
            Ok(ColumnarValue::Array(array)) => {
                let bytes = array.get_array_memory_size().min(room);
                made.arrays.push((Arc::downgrade(array), bytes));
                bytes
            }
            Ok(ColumnarValue::Scalar(value)) if value.size() > SMALL_CONSTANT_BYTES => {
                value.size().min(room)
            }
            Ok(ColumnarValue::Scalar(_)) | Err(_) => 0,
        };
        made.reservation.shrink(room - kept);
        result
    }
}

impl Made {
    fn forget_dropped(&mut self) {
        let mut bytes = 0;
        self.arrays.retain(|(array, size)| {
            let held = array.strong_count() > 0;
            if !held {
                bytes += size;
            }
            held
        });
        self.reservation.shrink(bytes);
    }
}

/// A function that is charged for what it makes.
#[derive(Debug)]
pub(super) struct Charged {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    charge: Arc<Charge>,
}

impl Charged {
    pub(super) fn function(
        inner: Arc<ScalarUDF>,
        growth: Growth,
        charge: &Arc<Charge>,
    ) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self {
            inner,
            growth,
            charge: Arc::clone(charge),
        }))
    }
}

impl PartialEq for Charged {
    fn eq(&self, other: &Self) -> bool {
        self.inner == other.inner
    }
}

impl Eq for Charged {}

impl Hash for Charged {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

/// Everything as it was, but for the simplification, which could put the function itself in the place of this one.
impl ScalarUDFImpl for Charged {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bytes_max = self.growth.bytes_max(&args);
        self.charge
            .run(bytes_max, || self.inner.invoke_with_args(args))
    }
}

/// Bytes of `array` alone, not of what it is a slice of.
fn bytes_of(array: &ArrayRef) -> usize {
    let views = arrow::array::cast::AsArray::as_string_view_opt(array);
    if let Some(views) = views {
        return views.iter().flatten().map(str::len).sum();
    }
    array
        .to_data()
        .get_slice_memory_size()
        .unwrap_or_else(|_unknown| array.get_array_memory_size())
}
