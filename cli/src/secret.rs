//! Secrets that an operator brings: from a file or standard input, never from an
//! argument, where every user of the machine could read them.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};

/// Longest secret that is read: a private key of RSA with 8192 bits has 6.5 KiB.
const LENGTH_MAX: u64 = 64 * 1024;

/// The text of a file, without white space around it; `-` is standard input. `what` it is
/// stands in errors, which never quote it.
pub(crate) fn text(file: &Path, what: &str) -> Result<String> {
    let mut text = String::new();
    let most = LENGTH_MAX + 1;
    let read = if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    let place = file.display();
    let length = read.with_context(|| format!("could not read {what} in {place}"))?;
    ensure!(
        u64::try_from(length).is_ok_and(|length| length < most),
        "{place} is too long for {what}"
    );
    let text = text.trim();
    ensure!(!text.is_empty(), "{place} is empty: {what} was to be in it");
    Ok(text.to_owned())
}
