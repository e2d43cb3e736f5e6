//! Backups: one is written as it is fetched, and taken over as it comes in.

use std::{
    io::{self, Write},
    pin::Pin,
};

use bytes::Bytes;

use proto::{
    admin::v1::{
        RestoreBackupRequest, RestoreBackupResponse, SaveBackupRequest, SaveBackupResponse,
        backups_server::Backups,
    },
    backup::v1::{Part, frame::Content},
};
use state::{
    Actor, Change, Index, Outcome, Restoring,
    backup::{PieceError, TakingOver},
    codec::record::kind,
    command::Restore,
    ports::{ProposeError, SealError},
};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, Sender},
    time::{Instant, sleep, timeout, timeout_at},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{Desk, caller};
use crate::{audit::Asked, backups::Heir, limits, problem::Problem};

/// What both are about, in the audit and in errors.
const BACKUP: &str = "backup";

/// Chunks that wait for whoever fetches them.
const WAITING: usize = 4;

#[tonic::async_trait]
impl Backups for Desk {
    type SaveBackupStream = Pin<Box<dyn Stream<Item = Result<SaveBackupResponse, Status>> + Send>>;

    async fn save_backup(
        &self,
        request: Request<SaveBackupRequest>,
    ) -> Result<Response<Self::SaveBackupStream>, Status> {
        let asked = caller(&request)?.asks(BACKUP.to_owned());
        let busy = |_| Problem::overloaded("this node writes a backup already");
        let place = self.saving.clone().try_acquire_owned().map_err(busy)?;
        // All that was acknowledged before the call is in it. Without a quorum, which is when
        // one is wanted most, it has what this node has.
        let _unheard = timeout(limits::QUORUM_WITHIN, self.propose.barrier()).await;
        let (chunks, fetched) = mpsc::channel(WAITING);
        let output = Chunks {
            chunks: chunks.clone(),
            runtime: Handle::current(),
            filled: Vec::with_capacity(limits::BACKUP_CHUNK_BYTES),
        };
        let (backups, audit) = (self.backups.clone(), self.audit.clone());
        tokio::task::spawn_blocking(move || {
            let saved = backups.save(Box::new(output));
            let result = saved.map_err(|error| Problem::not_backed_up(&error));
            audit.change(
                &asked,
                &result.as_ref().map(|Index(at)| *at).map_err(Clone::clone),
            );
            if let Err(problem) = result {
                // Whoever fetched it has left if this fails.
                let _ = chunks.blocking_send(Err(problem.into()));
            }
            drop(place);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(fetched))))
    }

    async fn restore_backup(
        &self,
        request: Request<Streaming<RestoreBackupRequest>>,
    ) -> Result<Response<RestoreBackupResponse>, Status> {
        let asked = caller(&request)?.asks(BACKUP.to_owned());
        let busy = |_| Problem::overloaded("this node restores a backup already");
        let _place = self.saving.clone().try_acquire_owned().map_err(busy)?;
        let restored = self.take_over(&asked, request.into_inner()).await;
        let index = restored.as_ref().map(|restored| restored.index);
        self.audit.change(&asked, &index.map_err(Clone::clone));
        Ok(Response::new(restored?))
    }
}

impl Desk {
    async fn take_over(
        &self,
        asked: &Asked,
        mut frames: Streaming<RestoreBackupRequest>,
    ) -> Result<RestoreBackupResponse, Problem> {
        let state = self.state();
        let of = state
            .restored()
            .filter(|restored| restored.progress == Restoring::Incomplete)
            .map(|restored| restored.of)
            .ok_or_else(|| {
                let message = "this cluster did not begin with a backup, or has all of it already";
                Problem::precondition("NOT_RESTORING", BACKUP, message)
            })?;
        let Some(Content::Keys(keys)) = next(&mut frames).await? else {
            return Err(malformed("its keys come first"));
        };
        let heir = self.backups.heir(of.cluster, &keys);
        let heir = heir.map_err(|error| Problem::not_backed_up(&error))?;
        let mut taking = Taking::new(heir);
        loop {
            match next(&mut frames).await? {
                Some(Content::Part(part)) => {
                    let change = taking.part(part)?;
                    self.agreed(asked, change).await?;
                }
                Some(Content::End(end)) if end.pieces == taking.pieces => break,
                Some(Content::End(_)) => return Err(malformed("pieces are missing")),
                Some(Content::Manifest(_) | Content::Keys(_)) => {
                    return Err(malformed("it has its keys and its manifest once"));
                }
                None => return Err(malformed("it has no end")),
            }
        }
        let (hostnames, certificates) = (taking.hostnames, taking.certificates);
        let all = Change::FinishRestore {
            hostnames,
            certificates,
        };
        let index = self.agreed(asked, all).await?;
        Ok(RestoreBackupResponse {
            hostnames,
            certificates,
            index: index.0,
        })
    }

    /// Proposes `change` until its outcome is known: said twice it does the same.
    async fn agreed(&self, asked: &Asked, change: Change) -> Result<Index, Problem> {
        let deadline = Instant::now() + limits::RESTORED_WITHIN;
        loop {
            let proposing = self
                .propose
                .propose(Actor::parse(&asked.who), change.clone());
            let answer = timeout_at(deadline, proposing).await;
            match answer.unwrap_or(Err(ProposeError::Unknown)) {
                Ok(applied) => {
                    return match applied.outcome {
                        Outcome::Done(_) => Ok(applied.index),
                        Outcome::Refused(refusal) => Err(Problem::refused(&refusal, &asked.what)),
                    };
                }
                Err(error) if Instant::now() >= deadline => {
                    return Err(Problem::unproposed(&error, &asked.what));
                }
                Err(_) => sleep(limits::RESTORED_RETRY).await,
            }
        }
    }
}

/// The next frame's content; none at the end of the stream.
async fn next(frames: &mut Streaming<RestoreBackupRequest>) -> Result<Option<Content>, Problem> {
    let message = timeout(limits::BACKUP_STALLED, frames.message()).await;
    let message = message.map_err(|_| malformed("it does not go on"))?;
    let message = message.map_err(|status| malformed(status.message()))?;
    let content = message.map(|request| request.frame.and_then(|frame| frame.content));
    content.map_or(Ok(None), |content| {
        let unknown = || malformed("it has a frame of an unknown kind");
        content.map(Some).ok_or_else(unknown)
    })
}

fn malformed(why: &str) -> Problem {
    Problem::field(
        "frame",
        format!("the backup is not as it was written: {why}"),
    )
}

/// A backup that is coming in.
struct Taking {
    heir: Box<dyn Heir>,
    over: TakingOver,
    pieces: u64,
    hostnames: u64,
    certificates: u64,
}

impl Taking {
    fn new(heir: Box<dyn Heir>) -> Self {
        Self {
            heir,
            over: TakingOver::default(),
            pieces: 0,
            hostnames: 0,
            certificates: 0,
        }
    }

    /// A part, every secret in it sealed for this cluster.
    fn part(&mut self, part: Part) -> Result<Change, Problem> {
        let mut restore = Restore::default();
        for piece in part.pieces {
            self.pieces += 1;
            let heir = &self.heir;
            let seal = |context: &_, sealed: &_| heir.reseal(context, sealed);
            let (pairs, value) = if piece.body {
                let value = self.over.body(&piece.key, &piece.value, seal);
                (&mut restore.bodies, value)
            } else {
                match piece.key.first() {
                    Some(&kind::HOSTNAME) => self.hostnames += 1,
                    Some(&kind::CERTIFICATE) => self.certificates += 1,
                    _ => {}
                }
                let value = self.over.record(&piece.key, &piece.value, seal);
                (&mut restore.records, value)
            };
            let value = value.map_err(|error| unusable(&error))?;
            pairs.push((piece.key, Bytes::from(value)));
        }
        Ok(Change::Restore(Box::new(restore)))
    }
}

fn unusable(error: &PieceError<SealError>) -> Problem {
    match error {
        PieceError::Undecodable(why) => malformed(&why.to_string()),
        PieceError::Secret(why) => malformed(&why.to_string()),
        PieceError::Order => malformed(&error.to_string()),
    }
}

/// Where a backup is written to: what whoever fetches it gets.
struct Chunks {
    chunks: Sender<Result<SaveBackupResponse, Status>>,
    runtime: Handle,
    filled: Vec<u8>,
}

impl Chunks {
    fn send(&mut self) -> io::Result<()> {
        if self.filled.is_empty() {
            return Ok(());
        }
        let room = Vec::with_capacity(limits::BACKUP_CHUNK_BYTES);
        let bytes = std::mem::replace(&mut self.filled, room).into();
        let sending = self.chunks.send(Ok(SaveBackupResponse { bytes }));
        // While it is not fetched no body can be deleted.
        let sent = self
            .runtime
            .block_on(async { timeout(limits::BACKUP_STALLED, sending).await });
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "whoever fetched it hung up",
            )),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "whoever fetches it has stopped",
            )),
        }
    }
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = limits::BACKUP_CHUNK_BYTES.saturating_sub(self.filled.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.filled.extend_from_slice(taken);
        if self.filled.len() >= limits::BACKUP_CHUNK_BYTES {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
