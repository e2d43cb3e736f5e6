//! What is handed over to whoever was admitted, out of the state and nothing else.

use proto::cluster::v1 as wire;
use state::{KeyPurpose, Member, NodeId, Operator, OperatorId, State};

/// What a newcomer needs, once all of it is there: its certificate and a copy of
/// every serving key, since certificates may be sealed under any of them. Members
/// that are leaving are named too: one of them may yet lead.
pub(super) fn join_reply(state: &State, node: NodeId) -> Option<wire::JoinReply> {
    let member = state.member(node)?;
    let certificate = member.certificate.as_ref()?;
    let mut data_keys = Vec::new();
    for key in state.data_keys() {
        match key.sealed_for.get(&node) {
            Some(sealed) => data_keys.push(wire::SealedKey {
                purpose: key.purpose.as_str().to_owned(),
                generation: key.generation,
                encapsulated: sealed.encapsulated.clone(),
                ciphertext: sealed.ciphertext.clone(),
            }),
            None if key.purpose == KeyPurpose::Serving => return None,
            None => {}
        }
    }
    Some(wire::JoinReply {
        cluster_id: state.cluster_id()?.to_string(),
        node_id: node.0,
        certificate_chain: vec![certificate.leaf.clone(), certificate.issuing.clone()],
        root: state.authority()?.root.clone(),
        peers: state
            .members()
            .filter(|member| member.id != node)
            .map(|member| peer(member))
            .collect(),
        data_keys,
    })
}

fn peer(member: &Member) -> wire::Peer {
    wire::Peer {
        node_id: member.id.0,
        name: member.name.clone(),
        peer_address: member.peer_address.clone(),
        public_key: member.public_key.clone(),
    }
}

pub(super) fn login_reply(state: &State, operator: OperatorId) -> Option<wire::LoginReply> {
    let operator: &Operator = state.operator(operator)?;
    let certificate = operator.certificate.as_ref()?;
    let not_after = certificate.not_after.as_millis();
    Some(wire::LoginReply {
        cluster_id: state.cluster_id()?.to_string(),
        credential: Some(wire::Credential {
            certificate_chain: vec![certificate.leaf.clone(), certificate.issuing.clone()],
            root: state.authority()?.root.clone(),
            name: operator.name.clone(),
            role: operator.role.as_str().to_owned(),
            not_after_ms: i64::try_from(not_after).unwrap_or(i64::MAX),
        }),
        admin_addresses: state
            .members()
            .filter(|member| !member.leaving)
            .map(|member| member.admin_address.clone())
            .collect(),
    })
}
