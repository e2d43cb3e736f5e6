//! The manifests: one table of dependencies, one set of lints.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::{none, tree};

/// What each member takes from the workspace.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

#[test]
fn dependencies_stand_in_one_table_and_all_are_used() {
    let root = manifest("Cargo.toml");
    let table = root["workspace"]["dependencies"].as_table().unwrap();
    let mut unused: BTreeSet<&str> = table.keys().map(String::as_str).collect();
    let mut wrong = Vec::new();
    let members: Vec<(String, Table)> = members().collect();
    for (path, member) in &members {
        for (name, dependency) in dependencies(member) {
            unused.remove(&**name);
            let inherited = dependency.get("workspace").and_then(Value::as_bool);
            if inherited != Some(true) {
                wrong.push(format!("{path}: {name} does not say `workspace = true`"));
            }
        }
    }
    wrong.extend(unused.iter().map(|name| format!("no member uses {name}")));
    none("dependencies", wrong);
}

#[test]
fn members_inherit_lints_and_package() {
    let mut wrong = Vec::new();
    for (path, member) in members() {
        let inherits = |value: Option<&Value>| {
            let value = value.and_then(|value| value.get("workspace"));
            value.and_then(Value::as_bool) == Some(true)
        };
        if !inherits(member.get("lints")) {
            wrong.push(format!("{path}: no `[lints] workspace = true`"));
        }
        for field in INHERITED {
            if !inherits(member["package"].get(field)) {
                wrong.push(format!("{path}: {field} is not the workspace's"));
            }
        }
    }
    none("manifests", wrong);
}

#[test]
fn members_are_named_one_by_one() {
    let root = manifest("Cargo.toml");
    let listed = root["workspace"]["members"].as_array().unwrap();
    let listed: BTreeSet<&str> = listed.iter().filter_map(Value::as_str).collect();
    let found = tree::texts()
        .iter()
        .filter_map(|text| text.path.strip_suffix("/Cargo.toml"));
    assert_eq!(listed, found.collect(), "members and manifests differ");
}

fn manifest(path: &str) -> Table {
    let text = tree::texts().iter().find(|text| text.path == path);
    let text = text.unwrap_or_else(|| panic!("{path} is missing"));
    text.text
        .parse()
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn members() -> impl Iterator<Item = (String, Table)> {
    let manifests = tree::texts()
        .iter()
        .filter(|text| text.path.ends_with("/Cargo.toml"));
    manifests.map(|text| (text.path.clone(), manifest(&text.path)))
}

/// Those of all kinds, the ones of a platform among them.
fn dependencies(manifest: &Table) -> Vec<(&String, &Value)> {
    let platforms = manifest.get("target").and_then(Value::as_table);
    let platforms = platforms.into_iter().flat_map(|targets| targets.values());
    let tables = platforms.filter_map(Value::as_table).chain([manifest]);
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    tables
        .flat_map(|table| {
            kinds
                .into_iter()
                .filter_map(|kind| table.get(kind)?.as_table())
        })
        .flatten()
        .collect()
}
