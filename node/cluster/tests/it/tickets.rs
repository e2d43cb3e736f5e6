//! The secret of session tickets between members at work.

use std::{sync::Arc, time::Duration};

use cluster::{Channels, peer::Links};
use proto::peer::v1::{
    Envelope, ShareTicketSecretReply, ShareTicketSecretRequest, serving_client::ServingClient,
};
use state::{Actor, KeyPurpose, NodeId, Outcome, Term, TicketSecrets, ports::Identities as _};

use crate::support::{Cluster, Node, eventually};

fn secret(node: &Node) -> Option<Arc<TicketSecrets>> {
    node.serving.ticket_secrets().borrow().clone()
}

/// Waits until all have one and the same, another than `before`.
async fn alike(nodes: &[&Node], before: Option<&Arc<TicketSecrets>>) -> Arc<TicketSecrets> {
    eventually("one secret at all", || async {
        let first = secret(nodes[0]).filter(|first| Some(first) != before)?;
        let same = nodes
            .iter()
            .all(|node| secret(node).as_ref() == Some(&first));
        same.then_some(first)
    })
    .await
}

fn rotate(cluster: &Cluster, holders: &[NodeId]) {
    let state = cluster.replica.state();
    let purpose = KeyPurpose::Serving;
    let change = cluster.certifier.rotate_data_key(&state, purpose, holders);
    let applied = cluster
        .replica
        .apply(Actor::leader(), Some(Term(1)), change.unwrap());
    assert_eq!(applied.outcome, Outcome::DONE);
}

/// Asks the founder as a member over its link.
async fn ask(
    cluster: &Cluster,
    links: &Arc<Links>,
    from: NodeId,
    generation: u32,
) -> Result<ShareTicketSecretReply, String> {
    let mut client = ServingClient::new(links.clone().channel(NodeId(1)));
    let envelope = Envelope {
        cluster_id: cluster.id().0.to_vec().into(),
        from: from.0,
        to: 1,
    };
    let request = ShareTicketSecretRequest {
        envelope: Some(envelope),
        generation,
    };
    let answer = client.share_ticket_secret(request).await;
    answer
        .map(|answer| answer.into_inner())
        .map_err(|status| status.message().to_owned())
}

#[tokio::test]
async fn members_have_one_secret_and_newcomers_are_given_it() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let first = alike(&[&founder], None).await;
    let (_machine, _, second) = cluster.add("second").await;
    assert_eq!(alike(&[&founder, &second], None).await, first);
    founder.stop();
    let (_machine, _, third) = cluster.add("third").await;
    assert_eq!(alike(&[&second, &third], None).await, first);
}

#[tokio::test]
async fn another_data_key_begins_another_secret() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    let before = alike(&[&founder, &second], None).await;
    rotate(&cluster, &[NodeId(1), NodeId(2)]);
    let after = alike(&[&founder, &second], Some(&before)).await;
    for (epoch, secret) in &after.secrets {
        assert_ne!(before.of(*epoch), Some(secret));
    }
}

#[tokio::test]
async fn epochs_go_by_alike_and_old_ones_are_gone() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    let before = alike(&[&founder, &second], None).await;
    cluster.clock.advance(Duration::from_secs(6 * 3600));
    let next = alike(&[&founder, &second], Some(&before)).await;
    assert_eq!(next.sealing, before.sealing + 1);
    assert_eq!(next.of(before.sealing), before.of(before.sealing));
    assert_eq!(next.of(before.sealing - 1), None);
}

#[tokio::test]
async fn only_members_are_told_and_only_of_the_present_generation() {
    let cluster = Cluster::form().await;
    let founder = cluster.start_founder();
    let (_machine, _, second) = cluster.add("second").await;
    alike(&[&founder, &second], None).await;
    let two = NodeId(2);
    let given = ask(&cluster, &second.links, two, 1).await.unwrap();
    assert_eq!((given.secret.len(), given.lineage.is_some()), (32, true));
    let other = ask(&cluster, &second.links, two, 2).await.unwrap();
    assert_eq!(other, ShareTicketSecretReply::default());
    let forged = ask(&cluster, &second.links, NodeId(3), 1).await;
    assert!(forged.is_err());
    cluster.remove(two);
    assert!(ask(&cluster, &second.links, two, 1).await.is_err());
}
