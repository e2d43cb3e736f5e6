//! Backups are fetched piece by piece, and taken over by the machine's socket alone.

use std::time::Duration;

use proto::admin::v1::{RestoreBackupRequest, SaveBackupRequest};
use state::Role;
use tokio::time::{Instant, sleep};
use tonic::{Code, Request};

use crate::stand::{SOCKET, Stand, backup, told};

#[tokio::test]
async fn a_backup_comes_in_pieces_that_are_the_whole() {
    let stand = Stand::start().await;
    let mut backups = stand.admin().await.backups;
    let answer = backups.save_backup(SaveBackupRequest {}).await.unwrap();
    let mut pieces = answer.into_inner();
    let mut whole = Vec::new();
    while let Some(piece) = pieces.message().await.unwrap() {
        assert!((1..=64 * 1024).contains(&piece.bytes.len()));
        whole.extend_from_slice(&piece.bytes);
    }
    assert_eq!(whole, backup());
}

#[tokio::test]
async fn one_backup_is_written_at_a_time() {
    let stand = Stand::start().await;
    let mut backups = stand.admin().await.backups;
    // It has more than waits to be fetched, here and in the windows of HTTP/2 (5 MB).
    let first = backups.save_backup(SaveBackupRequest {}).await.unwrap();
    let second = backups.save_backup(SaveBackupRequest {}).await;
    assert_eq!(told(second), "ResourceExhausted OVERLOADED retry");
    // Whoever hangs up lets the next one in.
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(10);
    while backups.save_backup(SaveBackupRequest {}).await.is_err() {
        assert!(Instant::now() < deadline, "the place is never free");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn nothing_is_taken_over_by_whoever_is_not_at_the_machine() {
    let stand = Stand::start().await;
    let viewer = stand.operator("vera", Role::Viewer);
    for mut clients in [stand.admin().await, stand.clients(Some(viewer)).await] {
        let none = tokio_stream::empty::<RestoreBackupRequest>();
        let refused = clients.backups.restore_backup(none).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn a_cluster_that_did_not_begin_with_a_backup_takes_none_over() {
    let stand = Stand::start().await;
    let mut backups = stand.clients(None).await.backups;
    let mut request = Request::new(tokio_stream::empty::<RestoreBackupRequest>());
    request.metadata_mut().insert(SOCKET, "1".parse().unwrap());
    let refused = backups.restore_backup(request).await;
    assert_eq!(
        told(refused),
        "FailedPrecondition NOT_RESTORING subject=backup"
    );
}
