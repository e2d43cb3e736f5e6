use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::entropy::SystemEntropy;

struct Machine {
    _root: tempfile::TempDir,
    data: PathBuf,
    key: PathBuf,
}

fn machine() -> Machine {
    let root = tempfile::tempdir().unwrap();
    let (data, key) = (root.path().join("data"), root.path().join("node.key"));
    fs::create_dir(&data).unwrap();
    Machine {
        _root: root,
        data,
        key,
    }
}

fn value(text: &str) -> KeySource {
    KeySource::Value(Secret::new(text.as_bytes().to_vec()))
}

fn read(source: &KeySource, data: &Path, may_create: bool) -> Result<Kek, KeySourceError> {
    source
        .read(data, may_create, &SystemEntropy)?
        .derive(&[1; 16])
}

#[test]
fn a_key_file_is_made_once_and_only_at_the_first_start() {
    let machine = machine();
    let source = KeySource::File(machine.key.clone());
    let missing = read(&source, &machine.data, false).unwrap_err();
    assert!(matches!(missing, KeySourceError::Gone(_)), "{missing}");
    let made = read(&source, &machine.data, true).unwrap();
    assert_eq!(
        fs::metadata(&machine.key).unwrap().permissions().mode() & 0o777,
        0o400
    );
    assert_eq!(read(&source, &machine.data, false).unwrap(), made);
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let machine = machine();
    let source = KeySource::File(machine.key.clone());
    read(&source, &machine.data, true).unwrap();
    for mode in [0o440, 0o404, 0o644, 0o410] {
        fs::set_permissions(&machine.key, fs::Permissions::from_mode(mode)).unwrap();
        let error = read(&source, &machine.data, true).unwrap_err();
        assert!(error.to_string().contains("chmod"), "{mode:o}: {error}");
    }
    fs::set_permissions(&machine.key, fs::Permissions::from_mode(0o600)).unwrap();
    read(&source, &machine.data, true).unwrap();
}

#[test]
fn a_key_file_inside_the_data_directory_is_refused() {
    let machine = machine();
    fs::create_dir(machine.data.join("keys")).unwrap();
    std::os::unix::fs::symlink(&machine.data, machine.key.with_extension("link")).unwrap();
    for inside in [
        machine.data.join("node.key"),
        machine.data.join("keys/node.key"),
        machine.key.with_extension("link").join("node.key"),
    ] {
        let error = read(&KeySource::File(inside), &machine.data, true).unwrap_err();
        assert!(matches!(error, KeySourceError::Inside(_)), "{error}");
    }
}

#[test]
fn values_are_32_bytes_in_a_known_form() {
    let machine = machine();
    let key = [0xa7; 32];
    let hex = HEXLOWER.encode(&key);
    let forms = [
        hex.clone(),
        hex.to_uppercase(),
        BASE64.encode(&key),
        BASE64URL_NOPAD.encode(&key),
        format!(" {hex}\n"),
    ];
    let expected = expand(&key, &[1; 16]);
    for form in forms {
        assert_eq!(read(&value(&form), &machine.data, true).unwrap(), expected);
    }
    for bad in ["", "a7a7", &hex[..62], "not a key at all"] {
        let error = read(&value(bad), &machine.data, true).unwrap_err();
        assert!(matches!(error, KeySourceError::Malformed(_)), "{error}");
    }
}

#[test]
fn a_passphrase_is_stretched_and_must_not_be_short() {
    let machine = machine();
    let words = |text: &str| KeySource::Passphrase(Secret::new(text.as_bytes().to_vec()));
    let one = read(&words("correct horse battery"), &machine.data, true).unwrap();
    let other = read(&words("correct horse batterz"), &machine.data, true).unwrap();
    assert_ne!(one, other);
    let short = read(&words("short"), &machine.data, true).unwrap_err();
    assert!(matches!(short, KeySourceError::Short));
    let debug = format!("{:?}", words("correct horse battery"));
    assert!(!debug.contains("horse"), "{debug}");
}

#[test]
fn a_damaged_key_file_is_told_without_its_content() {
    let machine = machine();
    fs::write(&machine.key, "4f4f4f").unwrap();
    fs::set_permissions(&machine.key, fs::Permissions::from_mode(0o400)).unwrap();
    let error = read(&KeySource::File(machine.key.clone()), &machine.data, true).unwrap_err();
    assert!(!error.to_string().contains("4f4f"), "{error}");
}

#[test]
fn a_key_file_is_ours_or_roots() {
    assert_eq!(forbidden_bits(1000, 1000), Some(0o077));
    assert_eq!(forbidden_bits(0, 0), Some(0o077));
    assert_eq!(forbidden_bits(0, 1000), Some(0o037));
    assert_eq!(forbidden_bits(1001, 1000), None);
    assert_eq!(forbidden_bits(1001, 0), None);
}
