//! A control group (version 2) for one attempt: the kernel then keeps it to its memory, counts exactly, and ends it whole.
//!
//! Only under a directory that was handed to us, as systemd does with `Delegate=yes`. Where there is none, the supervisor
//! watches instead.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::job::AttemptKey;

#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// A group for this attempt, if the kernel limits memory there.
    pub(crate) fn create(
        base: &Path,
        key: AttemptKey,
        memory: u64,
        cpu_millis: u32,
    ) -> io::Result<Self> {
        // Those that the directory does not have yet; that it cannot have them shows below.
        for controller in ["+memory", "+cpu"] {
            let _ = fs::write(base.join("cgroup.subtree_control"), controller);
        }
        let group = Self::named(base, key);
        match fs::create_dir(&group.0) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(err),
            _ => {}
        }
        if let Err(err) = group.limit(memory, cpu_millis) {
            group.remove();
            return Err(err);
        }
        Ok(group)
    }

    fn named(base: &Path, key: AttemptKey) -> Self {
        Self(base.join(format!("tern-job-{key}")))
    }

    /// The group of an attempt that was made before, if it is still there.
    pub(crate) fn of(base: &Path, key: AttemptKey) -> Option<Self> {
        Some(Self::named(base, key)).filter(|group| group.0.is_dir())
    }

    fn limit(&self, memory: u64, cpu_millis: u32) -> io::Result<()> {
        if memory > 0 {
            self.set("memory.max", &memory.to_string())?;
            // Without it the limit would only be where swapping begins. A kernel without swap has no such file.
            let _ = self.set("memory.swap.max", "0");
            // A job that has lost one of its processes is no job any more.
            self.set("memory.oom.group", "1")?;
        }
        // A share and no bound: what nobody else wants it may have. 1000 thousandths are the usual 100.
        let weight = (cpu_millis / 10).clamp(1, 10_000);
        let _ = self.set("cpu.weight", &weight.to_string());
        Ok(())
    }

    /// Writes to a file that has to be there: in a directory that is no control group it must not come into being.
    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        let path = self.0.join(file);
        let mut file = fs::OpenOptions::new().write(true).open(path)?;
        io::Write::write_all(&mut file, value.as_bytes())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// How often the kernel ended something in it because memory ran out.
    pub(crate) fn kills(&self) -> u64 {
        self.keyed("memory.events", "oom_kill").unwrap_or(0)
    }

    pub(crate) fn core_millis(&self) -> Option<u64> {
        Some(self.keyed("cpu.stat", "usage_usec")? / 1000)
    }

    pub(crate) fn peak(&self) -> Option<u64> {
        let text = fs::read_to_string(self.0.join("memory.peak")).ok()?;
        text.trim().parse().ok()
    }

    /// Ends everything in it at once; older kernels cannot, and the supervisor ends one by one anyway.
    pub(crate) fn end(&self) {
        let _ = self.set("cgroup.kill", "1");
    }

    /// Takes it away, once it is empty; whether it is gone.
    pub(crate) fn remove(&self) -> bool {
        let removed = fs::remove_dir(&self.0);
        removed.is_ok() || !self.0.exists()
    }

    fn keyed(&self, file: &str, key: &str) -> Option<u64> {
        let text = fs::read_to_string(self.0.join(file)).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_protocol::id::JobId;

    #[test]
    fn a_directory_that_is_no_control_group_is_refused_and_left_as_it_was() {
        let base = tempfile::tempdir().unwrap();
        let key = AttemptKey {
            job: JobId(1),
            number: 1,
        };
        assert!(Group::create(base.path(), key, 1 << 20, 1000).is_err());
        assert!(!base.path().join("tern-job-1-1").exists());
    }

    #[test]
    fn figures_are_read_as_the_kernel_writes_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(dir.path().join(file), text).unwrap();
        write(
            "memory.events",
            "low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\noom_group_kill 1\n",
        );
        write("cpu.stat", "usage_usec 1234567\nuser_usec 1000000\n");
        write("memory.peak", "4096\n");
        let group = Group(dir.path().to_owned());
        assert_eq!(group.kills(), 3);
        assert_eq!(group.core_millis(), Some(1234));
        assert_eq!(group.peak(), Some(4096));
    }
}
