//! Small file systems of a test's own: a tmpfs, or a file as a disk with ext4 or ext2 on it.
//!
//! The program runs itself again in a mount namespace of its own, so that nothing that it mounts is
//! seen outside or outlives it, whatever becomes of it; a loop device goes with its last mount.
#![allow(dead_code, reason = "each of the programs that use it needs a part")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const INSIDE: &str = "STREAMLOG_TEST_MOUNTS";

/// Runs the program in a namespace of its own, or gives `None` inside of it. Where that cannot be
/// done it says so, and the tests count as skipped.
pub(crate) fn outside() -> Option<ExitCode> {
    if std::env::var_os(INSIDE).is_some() {
        return None;
    }
    if let Err(why) = possible() {
        println!("SKIPPED: {why}");
        println!("0 passed, 0 failed, 1 skipped");
        return Some(ExitCode::SUCCESS);
    }
    let inside = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .status();
    let code = inside.unwrap().code().and_then(|code| u8::try_from(code).ok());
    Some(ExitCode::from(code.unwrap_or(101)))
}

fn possible() -> Result<(), String> {
    if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() != 0) {
        return Err("file systems can only be mounted by root".into());
    }
    let own = Command::new("unshare").args(["--mount", "--", "mkfs.ext4", "-V"]).output();
    match own {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => return Err(format!("unshare: {error}")),
    }
    match Path::new("/dev/loop-control").exists() {
        true => Ok(()),
        false => Err("there are no loop devices".into()),
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// What kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tmpfs,
    Ext4,
    Ext4WithoutJournal,
    /// It cannot allocate without writing.
    Ext2,
}

/// A mounted file system; it goes when this does.
pub(crate) struct Mounted {
    kind: Kind,
    megabytes: u64,
    place: tempfile::TempDir,
    is_mounted: bool,
}

impl Mounted {
    pub(crate) fn new(kind: Kind, megabytes: u64) -> Result<Mounted, String> {
        let memory = Path::new("/dev/shm");
        let under = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
        Mounted::under(under, kind, megabytes)
    }

    /// With the file that is its disk in this directory.
    pub(crate) fn under(under: &Path, kind: Kind, megabytes: u64) -> Result<Mounted, String> {
        let place = tempfile::tempdir_in(under).map_err(|error| error.to_string())?;
        std::fs::create_dir(place.path().join("fs")).map_err(|error| error.to_string())?;
        let mut mounted = Mounted { kind, megabytes, place, is_mounted: false };
        mounted.make()?;
        mounted.mount()?;
        Ok(mounted)
    }

    fn image(&self) -> PathBuf {
        self.place.path().join("image")
    }

    /// Has its disk take requests of one page each. Linux's loop device (seen with 6.18) tells that
    /// all is well where of a longer one only the first part was written.
    pub(crate) fn write_by_pages(&self) -> Result<(), String> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|e| e.to_string())?;
        let root = self.root();
        let mut fields = mounts.lines().map(|line| line.split(' '));
        let found = fields.find_map(|mut line| {
            Some((line.next()?, line.next()?)).filter(|found| Path::new(found.1) == root)
        });
        let (device, _) = found.ok_or("it is not mounted")?;
        let name = device.rsplit('/').next().unwrap_or_default();
        let setting = format!("/sys/block/{name}/queue/max_sectors_kb");
        std::fs::write(&setting, "4").map_err(|error| format!("{setting}: {error}"))
    }

    /// Takes away the end of its disk while it is mounted: what lies there cannot be read any more.
    pub(crate) fn lose_behind(&self, bytes: u64) -> Result<(), String> {
        let image = std::fs::File::options().write(true).open(self.image());
        image.and_then(|image| image.set_len(bytes)).map_err(|error| error.to_string())
    }

    /// Where it is mounted.
    pub(crate) fn root(&self) -> PathBuf {
        self.place.path().join("fs")
    }

    fn make(&self) -> Result<(), String> {
        let mut command = match self.kind {
            Kind::Tmpfs => return Ok(()),
            Kind::Ext4 | Kind::Ext4WithoutJournal => Command::new("mkfs.ext4"),
            Kind::Ext2 => Command::new("mkfs.ext2"),
        };
        let image = std::fs::File::create(self.image()).map_err(|error| error.to_string())?;
        image.set_len(self.megabytes << 20).map_err(|error| error.to_string())?;
        if self.kind == Kind::Ext4WithoutJournal {
            command.args(["-O", "^has_journal"]);
        }
        // Without blocks that only root may use, which these tests are.
        run(command.args(["-q", "-F", "-m", "0"]).arg(self.image()))
    }

    /// Mounts it again; what a real machine does after the loss of its power comes first.
    pub(crate) fn mount(&mut self) -> Result<(), String> {
        let mut command = Command::new("mount");
        match self.kind {
            Kind::Tmpfs => {
                let size = format!("size={}m", self.megabytes);
                command.args(["-t", "tmpfs", "-o", &size, "none"]);
            }
            kind => {
                if kind != Kind::Ext4 {
                    // Its answer tells whether it had something to repair.
                    drop(Command::new("e2fsck").args(["-fy"]).arg(self.image()).output());
                }
                command.args(["-o", "loop"]).arg(self.image());
            }
        }
        run(command.arg(self.root()))?;
        self.is_mounted = true;
        Ok(())
    }

    /// Nothing can be written there any more.
    pub(crate) fn forbid_writing(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.root()))
    }

    pub(crate) fn unmount(&mut self) -> Result<(), String> {
        run(Command::new("umount").arg(self.root()))?;
        self.is_mounted = false;
        Ok(())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.is_mounted {
            // Whoever still holds something of it, it is out of the way, and ends with the process.
            drop(Command::new("umount").arg("--lazy").arg(self.root()).output());
        }
    }
}
