//! A file system of a node's own, whose power can be cut: what was not made durable is
//! gone, and not by our own account of it. Needs root, loop devices, mkfs.ext4 and python3.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    machine::{needs, needs_root, run, try_run},
    wait,
};

/// Shuts an ext4 down at a word, without flushing its journal.
const SWITCH: &str = include_str!("../../../node/consensus/tests/power_cut/shutdown.py");
/// The image is sparse.
const IMAGE_BYTES: u64 = 192 * 1024 * 1024;
/// The loop device lets go a moment after its last user.
const RELEASE: Duration = Duration::from_secs(10);

/// A mounted ext4, unmounted when dropped.
#[derive(Debug)]
pub struct Ext4 {
    image: PathBuf,
    folder: PathBuf,
    switch: PathBuf,
}

impl Ext4 {
    /// Under `folder`, which is in use by nobody; what is in it is moved there.
    pub fn under(folder: &Path) -> Self {
        needs_root("a file system whose power can be cut");
        needs("mkfs.ext4", "e2fsprogs");
        needs("python3", "python3");
        let ext4 = Self {
            image: folder.with_extension("image"),
            folder: folder.to_owned(),
            switch: folder.with_extension("switch.py"),
        };
        fs::write(&ext4.switch, SWITCH).unwrap();
        let aside = folder.with_extension("aside");
        fs::rename(folder, &aside).unwrap();
        fs::create_dir(folder).unwrap();
        let image = fs::File::create(&ext4.image).unwrap();
        image.set_len(IMAGE_BYTES).unwrap();
        run("mkfs.ext4", &["-q", "-F", text(&ext4.image)]);
        ext4.mount();
        let all = format!("{}/.", aside.display());
        run("cp", &["-a", &all, text(folder)]);
        // Or our own copy would be what the first cut takes.
        run("sync", &["--file-system", text(folder)]);
        ext4
    }

    /// A hand on the switch: what cuts the power is ready when this returns.
    pub fn switch(&self) -> Switch {
        let mut program = Command::new("python3")
            .arg(&self.switch)
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        let output = program.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut ready).unwrap();
        assert_eq!(ready, "ready\n");
        Switch(program)
    }

    /// The power is back: what the device holds is there again. Nobody may use the old.
    ///
    /// A process elsewhere that begins a mount namespace of its own (`ip -n` does) holds the
    /// old file system for a moment after it was unmounted, and mounting finds that one.
    pub async fn mount_again(&self) {
        let mounted = wait::within(RELEASE, || async {
            self.unmount().await.unwrap();
            self.mount();
            self.takes_writes().then_some(())
        });
        mounted.await.expect("what is mounted anew takes writes");
    }

    fn takes_writes(&self) -> bool {
        let probe = self.folder.join("probe");
        fs::write(&probe, b"probe").is_ok() && fs::remove_file(&probe).is_ok()
    }

    fn mount(&self) {
        let arguments = ["-o", "loop", text(&self.image), text(&self.folder)];
        run("mount", &arguments);
    }

    async fn unmount(&self) -> Result<(), String> {
        let unmounted = wait::within(RELEASE, || async {
            try_run("umount", &[text(&self.folder)]).ok()
        });
        let why = || format!("{} cannot be unmounted", self.folder.display());
        unmounted.await.ok_or_else(why)
    }
}

impl Drop for Ext4 {
    fn drop(&mut self) {
        // A process may still be in it when a test has failed.
        let _ = try_run("umount", &["--lazy", text(&self.folder)]);
    }
}

/// See [`Ext4::switch`].
#[derive(Debug)]
pub struct Switch(Child);

impl Switch {
    /// The power is off: nothing more reaches the device.
    pub fn off(mut self) {
        writeln!(self.0.stdin.take().unwrap(), "now").unwrap();
        let done = self.0.wait().unwrap();
        assert!(done.success(), "the file system was not shut down");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours is text")
}
