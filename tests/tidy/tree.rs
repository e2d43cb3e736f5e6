//! The files of the repository, and what cargo knows of it.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use cargo_metadata::{CargoOpt, Metadata, MetadataCommand, Package};

/// What is not ours to judge: what builds and runs leave behind, and git's own.
const SKIPPED: [&str; 3] = ["target", "dev-data", ".git"];

/// A text file of ours.
pub(crate) struct Text {
    /// Relative to the root, with forward slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Text {
    pub(crate) fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    /// Written by a program, and checked by one.
    pub(crate) fn is_generated(&self) -> bool {
        self.path.contains("/generated/") || self.path == "Cargo.lock"
    }

    /// Its lines with their place.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (String, &str)> {
        let lines = self.text.split('\n').enumerate();
        lines.map(|(number, line)| (format!("{}:{}", self.path, number + 1), line))
    }
}

pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

/// All text files; read once.
pub(crate) fn texts() -> &'static [Text] {
    static TEXTS: OnceLock<Vec<Text>> = OnceLock::new();
    TEXTS.get_or_init(|| {
        let mut texts = Vec::new();
        collect(&root(), &root(), &mut texts);
        texts.sort_by(|one, other| one.path.cmp(&other.path));
        texts
    })
}

/// The Rust sources that people wrote.
pub(crate) fn sources() -> impl Iterator<Item = &'static Text> {
    let rust = texts().iter().filter(|text| text.has_extension("rs"));
    rust.filter(|text| !text.is_generated())
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<Text>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default();
        if SKIPPED.iter().any(|skipped| name == *skipped) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_none_or(|extension| extension != "bin")
            && let Ok(text) = fs::read_to_string(&path)
        {
            let path = path.strip_prefix(root).unwrap();
            let path = path.to_string_lossy().replace('\\', "/");
            texts.push(Text { path, text });
        }
    }
}

/// What `cargo metadata` says, with all features, for the platform at hand: what
/// is not built here need not be downloaded.
pub(crate) fn metadata() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        let options = ["--locked", "--filter-platform", &platform];
        MetadataCommand::new()
            .manifest_path(root().join("Cargo.toml"))
            .features(CargoOpt::AllFeatures)
            .other_options(options.map(str::to_owned))
            .exec()
            .unwrap_or_else(|error| panic!("cargo metadata: {error}"))
    })
}

/// Our own packages.
pub(crate) fn members() -> Vec<&'static Package> {
    metadata().workspace_packages()
}

/// The names of all packages that are really built, here, by anything of ours.
/// `cargo metadata` knows also those that a feature nobody asks for would bring.
pub(crate) fn built() -> BTreeSet<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = [
        "tree",
        "--workspace",
        "--locked",
        "--edges",
        "all",
        "--prefix",
        "none",
    ];
    let output = Command::new(cargo)
        .current_dir(root())
        .args(arguments)
        .args(["--format", "{p}"])
        .output()
        .unwrap_or_else(|error| panic!("cargo tree: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {errors}");
    let lines = String::from_utf8_lossy(&output.stdout);
    let names = lines.lines().filter_map(|line| line.split(' ').next());
    names.map(str::to_owned).collect()
}
