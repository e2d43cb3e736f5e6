//! The contexts of this user: which there are, which is the current one, and the
//! keys that wait for an answer. The files themselves are `enroll`'s.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use data_encoding::HEXLOWER;
use enroll::{Context, Leaf, PrivateKey};

use crate::{
    arguments::{self, Globals},
    complaint::Complaint,
    exit::Exit,
    output::Output,
    shape,
};

/// The name of a context unless another is given.
const DEFAULT: &str = "default";

/// Longest name of a context: it becomes a file's name.
const NAME_MAX: usize = 64;

/// The folder that holds them.
#[derive(Clone, Debug)]
pub(crate) struct Contexts {
    folder: PathBuf,
}

/// A context's name and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) file: PathBuf,
}

/// The commands about contexts.
pub(crate) fn run(
    command: arguments::Context,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    match command {
        arguments::Context::List => {
            let current = contexts.current()?;
            let mut all = Vec::new();
            for place in contexts.all()? {
                let is_current = current.as_deref() == Some(&place.name);
                all.push(describe(&place, is_current));
            }
            output.show(&shape::context::Contexts { contexts: all })?;
        }
        arguments::Context::Use { name } => {
            let place = contexts.named(&name)?;
            Context::read(&place.file)?;
            contexts.make_current(&place)?;
            output.show(&describe(&place, true))?;
        }
        arguments::Context::Show => {
            let place = contexts.chosen(globals.context.as_deref())?;
            Context::read(&place.file)?;
            let current = contexts.current()?.as_deref() == Some(&place.name);
            output.show(&describe(&place, current))?;
        }
    }
    Ok(Exit::Done)
}

/// A context as it may be shown; one that cannot be read shows why.
pub(crate) fn describe(place: &Place, current: bool) -> shape::context::Context {
    let mut shown = shape::context::Context {
        name: place.name.clone(),
        current,
        file: place.file.display().to_string(),
        cluster_id: String::new(),
        operator: String::new(),
        role: String::new(),
        addresses: Vec::new(),
        not_after: None,
        fault: String::new(),
    };
    match Context::read(&place.file) {
        Ok(context) => {
            let leaf = context.credential.chain.first();
            let leaf = leaf.and_then(|leaf| Leaf::read(leaf).ok());
            shown.cluster_id = HEXLOWER.encode(&context.credential.cluster);
            shown.operator = context.name;
            shown.role = context.role;
            shown.addresses = context.addresses;
            shown.not_after = leaf.and_then(|leaf| {
                let seconds = leaf.not_after;
                shape::moment(Some(&prost_types::Timestamp { seconds, nanos: 0 }))
            });
        }
        Err(error) => shown.fault = format!("{:#}", anyhow::Error::from(error)),
    }
    shown
}

impl Contexts {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The context that `told` means: a name, or a path with a slash in it; else
    /// the current one, else the only one.
    pub(crate) fn chosen(&self, told: Option<&str>) -> Result<Place> {
        if let Some(told) = told {
            return self.named(told);
        }
        if let Some(current) = self.current()? {
            return self.named(&current);
        }
        let mut all = self.all()?;
        match (all.pop(), all.pop()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Complaint::new(
                "choose a cluster",
                format!("there is no context in {}", self.folder.display()),
                "form a cluster by `hostquorum cluster init`, or enter one by `hostquorum login`",
            )
            .into()),
            (Some(_), Some(_)) => Err(Complaint::new(
                "choose a cluster",
                "there are several contexts and none is the current one",
                "see `hostquorum context list`, then `hostquorum context use NAME`",
            )
            .into()),
        }
    }

    fn named(&self, name: &str) -> Result<Place> {
        let place = self.place(name)?;
        if !place.file.exists() {
            return Err(Complaint::new(
                format!("use the context `{name}`"),
                format!("{} does not exist", place.file.display()),
                "see `hostquorum context list`",
            )
            .into());
        }
        Ok(place)
    }

    /// Where a new context goes, and what it is called.
    pub(crate) fn place(&self, name: &str) -> Result<Place> {
        if name.contains('/') {
            let file = PathBuf::from(name);
            let name = name.to_owned();
            return Ok(Place { name, file });
        }
        let fits = !name.is_empty()
            && name.len() <= NAME_MAX
            && !name.starts_with(['.', '-'])
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !fits {
            return Err(Complaint::new(
                format!("use the context `{}`", crate::output::clean(name)),
                "that is no name of a context",
                "a name has letters, digits, `.`, `_` and `-`; a path has a `/` in it",
            )
            .into());
        }
        Ok(Place {
            name: name.to_owned(),
            file: self.folder.join("contexts").join(format!("{name}.toml")),
        })
    }

    /// Where the context of a cluster that is about to be entered goes.
    pub(crate) fn new_place(&self, told: Option<&str>) -> Result<Place> {
        self.place(told.unwrap_or(DEFAULT))
    }

    fn all(&self) -> Result<Vec<Place>> {
        let folder = self.folder.join("contexts");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| format!("could not read {}", folder.display()))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".toml")) {
                names.push(name.to_owned());
            }
        }
        names.sort();
        names.iter().map(|name| self.place(name)).collect()
    }

    /// The name of the current context.
    fn current(&self) -> Result<Option<String>> {
        let file = self.folder.join("current");
        match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => {
                let text = text.with_context(|| format!("could not read {}", file.display()))?;
                Ok(Some(text.trim().to_owned()).filter(|name| !name.is_empty()))
            }
        }
    }

    pub(crate) fn make_current(&self, place: &Place) -> Result<()> {
        let file = self.folder.join("current");
        let new = file.with_extension("new");
        let name = absolute_name(place)?;
        fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&new, format!("{name}\n")))
            .and_then(|()| fs::rename(&new, &file))
            .with_context(|| format!("could not write {}", file.display()))
    }

    /// The key for an identity that is being asked for: the same until the answer
    /// is there, so that asking again after a lost answer is no second request.
    pub(crate) fn pending_key(&self, place: &Place) -> Result<PrivateKey> {
        let file = self.pending_file(place);
        match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            text => {
                let text = text.with_context(|| format!("could not read {}", file.display()))?;
                if let Ok(key) = PrivateKey::from_pem(&text) {
                    return Ok(key);
                }
                // It was cut off while it was written, so it was never used.
                self.forget_pending_key(place)?;
            }
        }
        let key = PrivateKey::generate()?;
        write_narrow(&file, key.to_pem().as_bytes())
            .with_context(|| format!("could not write {}", file.display()))?;
        Ok(key)
    }

    /// The key is in its context now.
    pub(crate) fn forget_pending_key(&self, place: &Place) -> Result<()> {
        let file = self.pending_file(place);
        fs::remove_file(&file).with_context(|| format!("could not remove {}", file.display()))
    }

    fn pending_file(&self, place: &Place) -> PathBuf {
        place.file.with_extension("pending-key")
    }
}

/// A path is kept whole, so that it holds in other folders too.
fn absolute_name(place: &Place) -> io::Result<String> {
    if !place.name.contains('/') {
        return Ok(place.name.clone());
    }
    let path = fs::canonicalize(&place.file)?;
    Ok(path.display().to_string())
}

/// A new file that only its owner can read, on the disk when this returns.
pub(crate) fn write_narrow(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
