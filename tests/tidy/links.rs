//! Links between our documents: each leads to a file, and to a heading if it
//! names one.

use std::path::{Component, Path, PathBuf};

use crate::{
    none,
    tree::{self, Text},
};

#[test]
fn links_lead_somewhere() {
    let documents: Vec<&Text> = tree::texts()
        .iter()
        .filter(|text| text.has_extension("md"))
        .collect();
    assert!(!documents.is_empty(), "no document");
    let mut wrong = Vec::new();
    for document in &documents {
        for (place, link) in links(document) {
            let (path, heading) = match link.split_once('#') {
                Some((path, heading)) => (path, Some(heading)),
                None => (&*link, None),
            };
            let target = resolved(&document.path, path);
            if !tree::root().join(&target).exists() {
                wrong.push(format!("{place}: {link} leads nowhere"));
                continue;
            }
            let Some(heading) = heading else { continue };
            let target = target.to_string_lossy();
            let there = documents.iter().find(|document| document.path == *target);
            if !there.is_some_and(|there| headings(there).any(|slug| slug == heading)) {
                wrong.push(format!("{place}: {link} names no heading"));
            }
        }
    }
    none("links", wrong);
}

/// Targets of `](...)` outside of code, without those of the web.
fn links(document: &Text) -> Vec<(String, String)> {
    let mut links = Vec::new();
    for (place, line) in prose(document) {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let (target, after) = after.split_once(')').unwrap_or((after, ""));
            let target = target.split_whitespace().next().unwrap_or_default();
            let web = target.contains("://") || target.starts_with("mailto:");
            if !web {
                links.push((place.clone(), target.to_owned()));
            }
            rest = after;
        }
    }
    links
}

/// Lines that are not within a fenced block.
fn prose(document: &Text) -> impl Iterator<Item = (String, &str)> {
    let mut fenced = false;
    document.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Headings as GitHub makes anchors of them.
fn headings(document: &Text) -> impl Iterator<Item = String> {
    let titles = prose(document).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len()).then(|| title.trim().to_lowercase())
    });
    titles.map(|title| {
        let kept = title
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

fn resolved(document: &str, link: &str) -> PathBuf {
    if link.is_empty() {
        return document.into();
    }
    let mut path: PathBuf = Path::new(document).parent().unwrap_or(Path::new("")).into();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(part) => path.push(part),
            Component::RootDir => path.clear(),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}
