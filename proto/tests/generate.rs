//! The committed code in `src/generated` is what the `.proto` files say.
//!
//! `HOSTQUORUM_REGENERATE=1 cargo test -p proto` writes it anew; otherwise a
//! difference is a failure.

use std::{fs, path::Path};

const FILES: [&str; 7] = [
    "admin.proto",
    "backup.proto",
    "check.proto",
    "cluster.proto",
    "peer.proto",
    "stats.proto",
    "traffic.proto",
];

/// Messages that hold secrets: their Debug is written by hand in `redacted.rs`.
const SECRET: [&str; 7] = [
    ".hostquorum.admin.v1.CreateInvitationResponse",
    ".hostquorum.admin.v1.ExternalAccount",
    ".hostquorum.admin.v1.OriginIdentity",
    ".hostquorum.admin.v1.UploadCertificateRequest",
    ".hostquorum.backup.v1.Key",
    ".hostquorum.cluster.v1.ExternalAccount",
    ".hostquorum.peer.v1.ShareTicketSecretReply",
];

#[test]
fn generated_code_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let fresh = tempfile::tempdir().unwrap();
    let descriptors = protox::compile(FILES, [root.join("proto")]).unwrap();
    tonic_prost_build::configure()
        .out_dir(fresh.path())
        .build_client(true)
        .build_server(true)
        .bytes(".")
        .skip_debug(SECRET)
        .file_descriptor_set_path(fresh.path().join("descriptors.bin"))
        .skip_protoc_run()
        .compile_fds(descriptors.clone())
        .unwrap();
    fs::write(fresh.path().join("descriptors.bin"), encode(&descriptors)).unwrap();

    let committed = root.join("src/generated");
    let regenerate = std::env::vars().any(|(name, _)| name == "HOSTQUORUM_REGENERATE");
    let mut stale = Vec::new();
    for entry in fs::read_dir(fresh.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("google.") {
            continue;
        }
        let new = fs::read(entry.path()).unwrap();
        let kept = committed.join(entry.file_name());
        if fs::read(&kept).ok().as_deref() != Some(&new[..]) {
            if regenerate {
                fs::create_dir_all(&committed).unwrap();
                fs::write(&kept, &new).unwrap();
            } else {
                stale.push(entry.file_name());
            }
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} differ from the .proto files: run `HOSTQUORUM_REGENERATE=1 cargo test -p proto` and commit"
    );
}

fn encode(descriptors: &prost_types::FileDescriptorSet) -> Vec<u8> {
    prost::Message::encode_to_vec(descriptors)
}
