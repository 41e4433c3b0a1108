//! What of retraining is kept in memory: which work this process does itself, and what is waited for.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tern_protocol::id::{ModelName, WorkspaceId};
use tern_retrain::Key;
use tokio::task::AbortHandle;

use crate::app::Wake;

/// A model of a workspace.
pub(super) type Of = (WorkspaceId, ModelName);

/// Clones share what is kept.
#[derive(Debug, Clone, Default)]
pub struct Desk {
    /// Makes the driver look again.
    pub wake: Wake,
    running: Arc<Mutex<HashMap<(Of, Key), AbortHandle>>>,
    waits: Arc<Mutex<HashMap<Of, String>>>,
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Desk {
    /// Begins work under a key, unless it runs. What it gives is stored by the work itself; a process that ends
    /// forgets it, and it is begun again.
    pub(super) fn begin(&self, of: &Of, key: Key, work: impl Future<Output = ()> + Send + 'static) {
        let mut running = locked(&self.running);
        if running.contains_key(&(of.clone(), key)) {
            return;
        }
        // Also when the work is aborted, before it began too, or panics.
        let leave = Leave(self.clone(), (of.clone(), key));
        let task = tokio::spawn(async move {
            let _leave = leave;
            work.await;
        });
        running.insert((of.clone(), key), task.abort_handle());
    }

    /// Whether work under a key runs in this process.
    pub(super) fn is_running(&self, of: &Of, key: Key) -> bool {
        locked(&self.running).contains_key(&(of.clone(), key))
    }

    /// Ends it.
    pub(super) fn abort(&self, of: &Of, key: Key) {
        let task = locked(&self.running).remove(&(of.clone(), key));
        if let Some(task) = task {
            task.abort();
        }
    }

    /// Ends all of it: the hub stops.
    pub(super) fn abort_all(&self) {
        let all: Vec<_> = locked(&self.running).drain().collect();
        for (_, task) in all {
            task.abort();
        }
    }

    /// Notes what is waited for.
    pub(super) fn wait(&self, of: &Of, text: String) {
        locked(&self.waits).insert(of.clone(), text);
    }

    /// What is waited for, as of the last look.
    pub(super) fn waits(&self, of: &Of) -> String {
        locked(&self.waits).get(of).cloned().unwrap_or_default()
    }
}

/// Takes work off the list when it is over, and has the driver look what came of it.
struct Leave(Desk, (Of, Key));

impl Drop for Leave {
    fn drop(&mut self) {
        locked(&self.0.running).remove(&self.1);
        self.0.wake.notify();
    }
}

#[cfg(test)]
mod tests {
    use tern_retrain::Step;

    use super::*;

    #[tokio::test]
    async fn work_runs_once_and_leaves_however_it_ends() {
        let desk = Desk::default();
        let of: Of = (
            "default".parse().expect("a name"),
            "digits".parse().expect("a name"),
        );
        let key = |attempt| Key {
            round: 1,
            step: Step::Compare,
            attempt,
        };
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        desk.begin(&of, key(1), async {
            let _ = told.await;
        });
        assert!(desk.is_running(&of, key(1)));
        desk.begin(&of, key(1), async { panic!("it runs already") });
        tell.send(()).expect("it waits");
        desk.wake.notified().await;
        assert!(!desk.is_running(&of, key(1)));
        desk.begin(&of, key(2), std::future::pending());
        desk.abort(&of, key(2));
        desk.wake.notified().await;
        assert!(!desk.is_running(&of, key(2)));
    }
}
