//! Disk work off the runtime's threads, except where the store says that it does
//! not block (a simulation, which must stay on its one thread).

/// Runs `work` to its end, on a thread for such work if `blocks`.
///
/// # Panics
///
/// When `work` panics.
pub(crate) async fn run<T: Send + 'static>(
    blocks: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if !blocks {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that shuts down cancels; nobody polls us then.
            Err(_) => std::future::pending().await,
        },
    }
}
