//! The threads that queries run on, so that a heavy one never delays the intake of data.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::StoreError;
use crate::store::Inner;

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

    /// Runs a query to its end or its deadline. Dropping the returned future stops it where its plan next
    /// yields.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        timeout: Duration,
        query: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(runtime) = &self.0 else {
            return Err(StoreError::Timeout { after: timeout });
        };
        // The deadline is kept outside of the task: inside, it would wait for the plan to yield.
        let mut task = AbortOnDrop(runtime.spawn(query));
        match tokio::time::timeout(timeout, &mut task.0).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(StoreError::Engine(error.into())),
            Err(_elapsed) => Err(StoreError::Timeout { after: timeout }),
        }
    }
}

impl Inner {
    /// Runs a query on the query threads, with the deadline of the configuration.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        query: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.executor.run(self.config.query_timeout, query).await
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
