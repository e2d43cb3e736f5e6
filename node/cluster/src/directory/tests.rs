use super::*;

fn directory() -> (tempfile::TempDir, Directory) {
    let root = tempfile::tempdir().unwrap();
    let directory = Directory::open(&root.path().join("data")).unwrap();
    (root, directory)
}

#[test]
fn a_crash_at_any_moment_leaves_the_old_file_or_the_new() {
    // The steps done before the crash, what was written of the temporary file
    // by then, and what is read afterwards.
    let nothing: Option<&str> = None;
    let cases = [
        (0, nothing, "old"),
        (1, nothing, "old"),
        (1, Some(""), "old"),
        (1, Some("ne"), "old"),
        (2, nothing, "old"),
        (3, nothing, "new"),
    ];
    for (steps, torn, expected) in cases {
        let (_root, directory) = directory();
        directory.write("identity", b"old").unwrap();
        let path = directory.file("identity");
        let write = Replacement {
            path: &path,
            bytes: b"new",
            mode: 0o600,
            temporary: temporary(&path),
        };
        for step in &Step::ALL[..steps] {
            write.run(*step).unwrap();
        }
        if let Some(torn) = torn {
            fs::write(temporary(&path), torn).unwrap();
        }
        let found = directory.read("identity").unwrap().unwrap();
        assert_eq!(
            found,
            expected.as_bytes(),
            "after {steps} steps, torn at {torn:?}"
        );
        directory.write("identity", b"next").unwrap();
        assert_eq!(directory.read("identity").unwrap().unwrap(), b"next");
        assert!(!temporary(&path).exists());
    }
}

#[test]
fn files_are_their_owners_only() {
    let (_root, directory) = directory();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    directory.write("a", b"x").unwrap();
    assert_eq!(mode(directory.path()), 0o700);
    assert_eq!(mode(&directory.file("a")), 0o600);
    fs::set_permissions(directory.file("a"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = directory.read("a").unwrap_err();
    assert!(
        matches!(error, DirectoryError::Mode { mode: 0o640, .. }),
        "{error}"
    );
}

#[test]
fn a_directory_that_others_may_enter_is_refused() {
    let (root, directory) = directory();
    for mode in [0o755, 0o750, 0o701] {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
        let error = Directory::open(&root.path().join("data")).unwrap_err();
        assert!(error.to_string().contains("chmod 0700"), "{error}");
    }
}

#[test]
fn what_is_not_there_is_no_error() {
    let (_root, directory) = directory();
    assert_eq!(directory.read("a").unwrap(), None);
    directory.remove("a").unwrap();
}
