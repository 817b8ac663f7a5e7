//! The threads that queries run on, so that a heavy one never delays the intake of data.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::StoreError;

pub(crate) struct Executor(Option<Runtime>);

impl Executor {
    /// Starts one thread per core.
    pub(crate) fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("vervet-query")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a query to its end or its deadline. Dropping the returned future stops it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        timeout: Duration,
        query: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.0 else {
            return Err(StoreError::Timeout { after: timeout });
        };
        let mut task = AbortOnDrop(runtime.spawn(async move {
            tokio::time::timeout(timeout, query)
                .await
                .unwrap_or(Err(StoreError::Timeout { after: timeout }))
        }));
        match (&mut task.0).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Engine(Box::new(
                datafusion::error::DataFusionError::External(error.into()),
            ))),
        }
    }
}

/// The last store may be dropped on a thread that must not wait for others to end.
impl Drop for Executor {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
