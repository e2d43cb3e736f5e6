//! Where the corpora begin: real messages, as our own and others' programs write them.
//!
//! `UPDATE_CORPORA=1 cargo test -p fuzz` writes those that are missing and changes none;
//! what libFuzzer finds is added beside them by hand.

mod names;
mod texts;
mod tls;

use std::{fs, path::Path};

use crate::folder;

/// A target's seeds: what each is called, and its bytes.
type Seeds = Vec<(String, Vec<u8>)>;

#[test]
fn every_corpus_begins_with_real_messages() {
    for (target, seeds) in [
        ("acme", texts::acme()),
        ("admin", texts::admin()),
        ("change", changes()),
        ("dns", names::queries()),
        ("hello", tls::hellos()),
        ("log", entries()),
        ("proxy", headers()),
        ("requests", texts::requests()),
        ("resolver", names::replies()),
        ("snapshot", snapshots()),
        ("token", texts::tokens()),
        ("upload", tls::uploads()),
    ] {
        for (name, bytes) in seeds {
            let path = folder(target).join(format!("{name}.bin"));
            if !path.exists() && std::env::var_os("UPDATE_CORPORA").is_some() {
                fs::create_dir_all(folder(target)).unwrap();
                fs::write(&path, bytes).unwrap();
            }
            assert!(
                path.exists(),
                "{} is missing; UPDATE_CORPORA=1 writes it",
                path.display()
            );
        }
    }
}

/// As load balancers write them, with a TLV after the addresses as AWS's do.
fn headers() -> Seeds {
    let v4 = fuzz::proxy::written("203.0.113.9:4711".parse().unwrap());
    let v6 = fuzz::proxy::written("[2001:db8::9]:4711".parse().unwrap());
    let mut with_tlv = v4.clone();
    with_tlv[15] += 6;
    with_tlv.extend([0xea, 0, 3, 1, b'v', b'p']);
    let mut local = v4[..16].to_vec();
    local[12..].copy_from_slice(&[0x20, 0, 0, 0]);
    [
        ("v4", v4),
        ("v6", v6),
        ("v4-tlv", with_tlv),
        ("local", local),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .to_vec()
}

/// `first` before what a target reads: how it is to be read.
fn led_by(first: u8, bytes: &[u8]) -> Vec<u8> {
    [&[first], bytes].concat()
}

fn named(seeds: impl IntoIterator<Item = (&'static str, Vec<u8>)>) -> Seeds {
    let seeds = seeds.into_iter();
    seeds
        .map(|(name, bytes)| (name.to_owned(), bytes))
        .collect()
}

/// The samples of all that is stored or sent, which `state` keeps for ever.
fn frozen(kind: &str) -> Seeds {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let samples = here.join("../../node/state/tests/frozen/v1");
    let mut found = Seeds::new();
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        if name.starts_with(kind) && path.extension().is_some_and(|found| found == "bin") {
            found.push((name, fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn changes() -> Seeds {
    let mut seeds = Seeds::new();
    let kinds = [
        ("batch", 0),
        ("command", 0),
        ("proposal", 1),
        ("outcome", 2),
    ];
    for (kind, number) in kinds {
        let samples = frozen(kind).into_iter();
        seeds.extend(samples.map(|(name, bytes)| (name, led_by(number, &bytes))));
    }
    seeds.extend(
        frozen("event")
            .into_iter()
            .take(1)
            .map(|(name, bytes)| (name, led_by(3, &bytes))),
    );
    let body = |name: &str| frozen(name).remove(0).1;
    let parts = [body("body.own"), vec![0xff], body("body.chain")].concat();
    seeds.push(("body".to_owned(), led_by(4, &parts)));
    for (number, (key, value)) in records().into_iter().enumerate() {
        let length = u8::try_from(key.len()).unwrap();
        let record = [&[length], &key[..], &value[..]].concat();
        seeds.push((format!("record-{number}"), led_by(5, &record)));
    }
    seeds
}

/// The records of a whole life.
fn records() -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = frozen("records").remove(0).1;
    let mut bytes = &bytes[..];
    let mut part = || {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (part, rest) = rest.split_at(u16::from_be_bytes(*length).into());
        bytes = rest;
        Some(part.to_vec())
    };
    std::iter::from_fn(|| Some((part()?, part()?))).collect()
}

/// openraft's values as `consensus` freezes them.
fn entries() -> Seeds {
    let batch = frozen("command.authorize").remove(0).1;
    let length = u8::try_from(batch.len().min(127)).unwrap();
    let mut entry = vec![8, 1, 1, 1, 6, 1, length];
    entry.extend_from_slice(&batch[..usize::from(length)]);
    named([
        ("vote", vec![0, 1, 3, 2, 1]),
        ("log-id", vec![1, 1, 3, 2, 172, 2]),
        (
            "stored-membership",
            vec![2, 1, 0, 1, 1, 1, 1, 1, 3, b'a', b':', b'1'],
        ),
        ("snapshot-meta", vec![3, 1, 0, 0, 0, 0, 2, b's', b'1']),
        ("append", vec![4, 1, 3, 2, 1, 0, 1, 1, 1, 5, 0, 0]),
        ("append-reply", vec![5, 1, 0]),
        ("vote-request", vec![6, 1, 3, 2, 0, 0]),
        ("vote-reply", vec![7, 1, 3, 2, 0, 1, 0]),
        ("blank", vec![8, 1, 1, 1, 5, 0]),
        ("entry", entry),
        (
            "membership",
            b"\x08\x01\x01\x01\0\x02\x01\x01\x01\x02\x01\x03a:1\x02\x03b:2".to_vec(),
        ),
    ])
}

/// A snapshot's content of a whole life, of an empty one, and with a body.
fn snapshots() -> Seeds {
    let meta = [1, 0, 0, 0, 0, 2, b's', b'1'];
    let head = |meta: &[u8]| {
        let length = u32::try_from(meta.len()).unwrap().to_be_bytes();
        [b"HQSNAP1\n", &length[..], meta].concat()
    };
    let pair = |tag: u8, key: &[u8], value: &[u8]| {
        let length = |part: &[u8]| u32::try_from(part.len()).unwrap().to_be_bytes();
        [&[tag], &length(key)[..], &length(value), key, value].concat()
    };
    let content = |pairs: &[Vec<u8>]| {
        let count = (pairs.len() as u64).to_be_bytes();
        [head(&meta), pairs.concat(), vec![0], count.to_vec()].concat()
    };
    let life: Vec<Vec<u8>> = records()
        .iter()
        .map(|(key, value)| pair(1, key, value))
        .collect();
    let bodies = [life[0].clone(), pair(2, b"chain", b"issuers")];
    named([
        ("empty", content(&[])),
        ("life", content(&life)),
        ("bodies", content(&bodies)),
    ])
}
