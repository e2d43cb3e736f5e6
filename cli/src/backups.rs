//! Backups: their keys, taking them, looking into them, and a cluster out of one.

use std::{
    fs::{self, File},
    io::{BufReader, Read, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use backup::{Identities, Reader};
use data_encoding::HEXLOWER;
use futures_util::stream;
use proto::{
    admin::v1::{
        GetStatusRequest, RestoreBackupRequest, RestoreBackupResponse, SaveBackupRequest,
        backups_client::BackupsClient, cluster_client::ClusterClient,
    },
    backup::v1::{Frame, Manifest},
    cluster::v1::InitRequest,
};
use sha2::{Digest as _, Sha256};
use tokio::{sync::mpsc, time::timeout};
use tonic::transport::Channel;

use crate::{
    arguments::{self, Globals, Opened},
    complaint::Complaint,
    connect::{self, Session},
    context::{Contexts, write_narrow},
    exit::Exit,
    init,
    output::Output,
    secret,
    shape::backup::{Inspected, Key, Restored, Saved},
};

/// How long a node may take for the next piece of a backup.
const STALLED: Duration = Duration::from_secs(90);

/// Frames that wait for the node.
const WAITING: usize = 4;

pub(crate) async fn run(
    command: arguments::Backup,
    globals: &Globals,
    contexts: &Contexts,
    output: &mut Output,
) -> Result<Exit> {
    match command {
        arguments::Backup::Keygen { file } => output.show(&keygen(&file)?)?,
        arguments::Backup::Save { file, overwrite } => {
            let session = Session::open(globals, contexts).await?;
            let saved = save(&session, &file, overwrite).await?;
            output.show(&saved)?;
            session.refresh().await;
        }
        arguments::Backup::Inspect(opened) => {
            let manifest = whole(&opened)?;
            output.show(&Inspected::new(&opened.file, &manifest))?;
        }
        arguments::Backup::Restore(asked) => {
            output.show(&restore(asked, globals, contexts).await?)?;
        }
    }
    Ok(Exit::Done)
}

fn keygen(file: &Path) -> Result<Key> {
    ensure!(
        !file.exists(),
        "{} exists already: whoever loses a key loses the backups that it opens",
        file.display()
    );
    let (text, recipient) = backup::generate();
    write_narrow(file, text.as_bytes())
        .with_context(|| format!("could not write the key to {}", file.display()))?;
    Ok(Key {
        file: file.display().to_string(),
        recipient: recipient.to_string(),
    })
}

async fn save(session: &Session, file: &Path, overwrite: bool) -> Result<Saved> {
    ensure!(
        overwrite || !file.exists(),
        "{} exists already: give another name, or --overwrite",
        file.display()
    );
    let doing = "take a backup";
    let mut backups = session.backups();
    let answer = session.read(doing, backups.save_backup(SaveBackupRequest {}));
    let mut pieces = answer.await?;
    // Under its name only once it is whole.
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let unfinished = PathBuf::from(name);
    let write = || format!("could not write the backup to {}", unfinished.display());
    let _replaced = fs::remove_file(&unfinished);
    let mut part = narrow(&unfinished).with_context(write)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    loop {
        let next = timeout(STALLED, pieces.message()).await;
        let next = next.map_err(|_| Complaint::timed_out(doing, STALLED, false))?;
        match next.map_err(|status| Complaint::refused(doing, &status, false))? {
            Some(piece) => {
                hash.update(&piece.bytes);
                bytes += u64::try_from(piece.bytes.len()).unwrap_or_default();
                part.write_all(&piece.bytes).with_context(write)?;
            }
            None => break,
        }
    }
    part.sync_all().with_context(write)?;
    fs::rename(&unfinished, file).with_context(write)?;
    Ok(Saved {
        file: file.display().to_string(),
        bytes,
        sha256: HEXLOWER.encode(&hash.finalize()),
    })
}

/// A new file that nobody else may read.
fn narrow(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn open(opened: &Opened) -> Result<Reader<BufReader<File>>> {
    let place = opened.identity.display();
    let identity = secret::text(&opened.identity, "the key of the backup")?;
    let identities = identity.parse::<Identities>();
    let identities =
        identities.with_context(|| format!("{place} holds no key that opens backups"))?;
    let place = opened.file.display();
    let file = File::open(&opened.file);
    let file = file.with_context(|| format!("could not open the backup {place}"))?;
    Reader::open(BufReader::new(file), &identities)
        .with_context(|| format!("could not read the backup {place}"))
}

/// Reads all of a backup, so that it is known to be whole.
fn whole(opened: &Opened) -> Result<Manifest> {
    let mut reader = open(opened)?;
    let read = || format!("could not read the backup {}", opened.file.display());
    while reader.next_frame().with_context(read)?.is_some() {}
    Ok(reader.manifest().clone())
}

async fn restore(
    asked: arguments::Restore,
    globals: &Globals,
    contexts: &Contexts,
) -> Result<Restored> {
    // Before anything is formed out of it.
    let manifest = whole(&asked.opened)?;
    let channel = connect::local(&asked.founder.socket).await?;
    if !continues(channel.clone(), &manifest).await? {
        let place = init::new_place(contexts, globals, asked.founder.overwrite)?;
        let request = InitRequest {
            admin_name: init::operator_name(&asked.founder.admin_name)?,
            backup: Some(manifest.clone()),
            ..InitRequest::default()
        };
        init::form(request, &place, channel.clone(), globals, contexts).await?;
    }
    let taken = take_over(channel.clone(), &asked.opened).await?;
    ensure!(
        (taken.hostnames, taken.certificates) == (manifest.hostnames, manifest.certificates),
        "the backup says that it has {} hostnames and {} certificates, but {} and {} came",
        manifest.hostnames,
        manifest.certificates,
        taken.hostnames,
        taken.certificates
    );
    let status = ClusterClient::new(channel)
        .get_status(GetStatusRequest {})
        .await
        .map_err(|status| Complaint::refused("look at the new cluster", &status, false))?;
    Ok(Restored::new(&manifest, status.into_inner().cluster_id))
}

/// True if the node was formed out of this very backup, and lacks some of it.
async fn continues(channel: Channel, manifest: &Manifest) -> Result<bool> {
    let mut cluster = ClusterClient::new(channel);
    // A node that belongs to no cluster says so, and is asked to form one.
    let Ok(status) = cluster.get_status(GetStatusRequest {}).await else {
        return Ok(false);
    };
    match status.into_inner().restored {
        Some(restored) if restored.progress == "incomplete" => {
            let same = restored.cluster_id == manifest.cluster_id
                && restored.taken_at == manifest.taken_at;
            ensure!(
                same,
                "this node is being restored from another backup, which was taken of cluster {}",
                restored.cluster_id
            );
            Ok(true)
        }
        Some(_) => bail!(
            "this node was restored from a backup already; `hostquorum cluster status` tells how it is"
        ),
        None => bail!(
            "this node belongs to a cluster already: a backup is restored on a node with an empty \
             data directory"
        ),
    }
}

async fn take_over(channel: Channel, opened: &Opened) -> Result<RestoreBackupResponse> {
    let reader = open(opened)?;
    let (frames, sent) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || bring(reader, &frames));
    let requests = stream::unfold(sent, async |mut sent: mpsc::Receiver<Frame>| {
        let frame = sent.recv().await?;
        Some((RestoreBackupRequest { frame: Some(frame) }, sent))
    });
    let mut backups = BackupsClient::new(channel);
    let answer = backups.restore_backup(requests).await;
    // What is wrong with the file comes before what the node says of its end.
    reading.await.context("the backup was not read")??;
    let refused = |status| Complaint::refused("restore the backup", &status, true);
    Ok(answer.map_err(refused)?.into_inner())
}

fn bring<R: Read>(mut reader: Reader<BufReader<R>>, to: &mpsc::Sender<Frame>) -> Result<()> {
    while let Some(frame) = reader.next_frame()? {
        if to.blocking_send(frame).is_err() {
            // The node has refused it, and says why.
            break;
        }
    }
    Ok(())
}
