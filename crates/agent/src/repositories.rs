//! One lock per repository: no two commands of ours change a repository at the same time.
//!
//! A command that changes it holds the lock alone. One that only reads takes it beside other readers,
//! and only if it is free: git's reads write the index when it is out of date, and that too would be in
//! the way of a command that changes it. Who gets no lock reads all the same and leaves the index as it is.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::RwLock;

/// The locks in use, by the repository's common directory.
#[derive(Debug, Default)]
pub(crate) struct Repositories(Mutex<HashMap<PathBuf, Weak<RwLock<()>>>>);

impl Repositories {
    /// Returns the lock of a repository. It is forgotten when nobody holds it any more.
    pub(crate) fn lock_of(&self, common_dir: &Path) -> Arc<RwLock<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = locks.get(common_dir).and_then(Weak::upgrade) {
            return lock;
        }
        locks.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        locks.insert(common_dir.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_lives_as_long_as_somebody_holds_it() {
        let repositories = Repositories::default();
        let (one, two) = (Path::new("/one/.git"), Path::new("/two/.git"));
        let lock = repositories.lock_of(one);
        let held = lock.try_write().unwrap();
        assert!(repositories.lock_of(one).try_read().is_err());
        assert!(repositories.lock_of(two).try_read().is_ok());
        drop(held);
        assert!(repositories.lock_of(one).try_read().is_ok());
        drop(lock);
        repositories.lock_of(two);
        assert_eq!(repositories.0.lock().unwrap().len(), 1);
    }
}
